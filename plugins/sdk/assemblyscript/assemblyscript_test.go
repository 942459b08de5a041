//go:build full

package assemblyscript_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/sdk/sdktest"
	"switchyard/policy/abi"
)

// compiler returns the folder node_modules, which npm ci makes here.
func compiler(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, ".bin", "asc")); err != nil {
		t.Fatal("there is no AssemblyScript compiler: run npm ci in plugins/sdk/assemblyscript")
	}
	sdktest.Tool(t, "npm", "apt-get install nodejs npm")
	return modules
}

// The README's policy builds with its commands and decides as the README says.
func TestREADME(t *testing.T) {
	modules := compiler(t)
	dir := t.TempDir()
	sdktest.Run(t, ".", "cp", "-R", "assembly", filepath.Join(dir, "sdk"))
	commands := sdktest.WriteREADME(t, "README.md", dir)
	if want := []string{"npm install", "npm run build"}; !slices.Equal(commands, want) {
		t.Fatalf("the README's commands are %q, want %q", commands, want)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil { // instead of npm install
		t.Fatal(err)
	}
	sdktest.Run(t, dir, "npm", "run", "build")
	sdktest.AskREADME(t, filepath.Join(dir, "policy.wasm"))
}

// build builds a policy of testdata.
func build(t *testing.T, name string) (module string) {
	t.Helper()
	modules, module := compiler(t), filepath.Join(t.TempDir(), name+".wasm")
	sdktest.Run(t, ".", filepath.Join(modules, ".bin", "asc"), "testdata/"+name+".ts", "-O3", "--runtime", "stub", "--use", "abort=", "-o", module)
	return module
}

// A policy knows the peers of the groups that it names, and sends to them.
func TestGroups(t *testing.T) {
	p := sdktest.Load(t, build(t, "groups"), nil)
	groups := p.Groups()
	if len(groups) != abi.MaxGroups || groups[0].String() != "admin" || groups[1].String() != "archive" || groups[31].String() != "g31" {
		t.Fatalf("it names %v", groups)
	}
	if v, err := p.Classify(pdu.SID_MSG, pdu.CID_MSG_READ_NOTIFY); err != nil || v.String() != "unicast group archive, not-sender, also group g31" {
		t.Errorf("a receipt: %v, %v", v, err)
	}
	for n, want := range map[int]string{0: "broadcast-except-sender, also group archive", 1: "drop", 30: "drop", 31: "broadcast-except-sender"} {
		q := sdktest.Question(pdu.CID_OTHER_SERVER_KICK_USER, abi.AttributeMaster, "")
		q.Groups = groups[n : n+1]
		if v, err := p.Inspect(abi.Drop|abi.InspectHeader, q); err != nil || v.String() != want {
			t.Errorf("a kick by a peer in %v: %v, %v, want %s", groups[n], v, err, want)
		}
	}
}

// A second scanner reads a nested message while the first stays at the field that holds it.
func TestNestedMessages(t *testing.T) {
	p := sdktest.Load(t, build(t, "nested"), nil)
	for body, want := range map[string]string{
		"":                                 "unicast user 0",
		"\x12\x02\x18\x05":                 "unicast user 5",
		"\x18\x05\x12\x00\x12\x02\x10\x05": "unicast user 0",
		"\x12\x04\x18\x05\x18\x06\x08\x01\x12\x05\x1a\x03\x01\xac\x02": "unicast user 312",
		"\x12\x05\x1d\x01\x02\x00\x00\x18\x01":                         "unicast user 513",
		"\x12\x09\x19\x01\x02\x00\x00\x00\x00\x00\x00":                 "unicast user 513",
		"\x12\x01\x18\x05":                 "close", // ends inside, though the body goes on
		"\x12\x03\x1a\x02\x05":             "close",
		"\x12\x04\x1a\x02\x05\x80\x18\x05": "close",
		"\x12\x02\x18\x05\x12":             "close",
		"\x12\x02\x18\x05\x00\x01":         "close",
	} {
		got, err := p.Inspect(abi.BroadcastExceptSender|abi.InspectBodyOf, sdktest.Question(pdu.CID_MSG_DATA, 0, body))
		if err != nil || got.String() != want {
			t.Errorf("%x: got %v, %v, want %s", body, got, err, want)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/plugins/toolchain"
)

// A new policy in each language builds by the printed steps, unchanged, and serves, outside
// of this repository and without a network. Only a table needs no other toolchain.
func TestNewPolicies(t *testing.T) {
	assemblyScript, err := filepath.Abs(filepath.Join(root, "plugins", "sdk", "assemblyscript", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range toolchain.Languages {
		if language != toolchain.Table && !full {
			continue
		}
		t.Run(string(language), func(t *testing.T) {
			wantToolchain(t, language, assemblyScript)
			dir := t.TempDir()
			t.Chdir(dir)
			for _, variable := range []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "CARGO_NET_OFFLINE=true", "npm_config_offline=true",
				"npm_config_cache=" + t.TempDir()} {
				key, value, _ := strings.Cut(variable, "=")
				t.Setenv(key, value)
			}

			var steps, stderr bytes.Buffer
			if code := run([]string{"policy", "new", "--lang", string(language), "demo"}, nil, &steps, &stderr); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr.String())
			}
			if language == toolchain.AssemblyScript { // what npm install would download
				shell(t, "cp -R '"+assemblyScript+"' demo/node_modules")
			}
			shell(t, steps.String())
			serveNew(t, language)
		})
	}
}

// wantToolchain fails the test if the toolchain of the language is not installed.
func wantToolchain(t *testing.T, language toolchain.Language, assemblyScript string) {
	t.Helper()
	var need []string
	switch language {
	case toolchain.Go:
		if underRaceDetector() {
			t.Skip("loading a guest of stock Go takes a minute under the race detector; policy/wasm has one there")
		}
		need = []string{"go"}
	case toolchain.C:
		need = []string{"clang", "wasm-ld"} // packages clang and lld
	case toolchain.Rust:
		if !rustHasTarget() {
			t.Fatal("no rustc with the target wasm32-unknown-unknown is installed: apt-get install rustc libstd-rust-dev-wasm32 lld")
		}
	case toolchain.AssemblyScript:
		if _, err := os.Stat(assemblyScript); err != nil {
			t.Fatal("the AssemblyScript compiler is not installed: npm ci --prefix plugins/sdk/assemblyscript")
		}
		need = []string{"node", "npm"}
	}
	for _, tool := range need {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed; see CONTRIBUTING.md", tool)
		}
	}
}

func rustHasTarget() bool {
	for _, tool := range []string{"rustc", "/usr/bin/rustc"} {
		library, err := exec.Command(tool, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err == nil {
			if _, err := os.Stat(strings.TrimSpace(string(library))); err == nil {
				return true
			}
		}
	}
	return false
}

// shell runs lines as if they were pasted, and stops at the first that fails. Its command
// switchyard is this program.
func shell(t *testing.T, lines string) {
	t.Helper()
	sh := exec.Command("sh", "-ex")
	sh.Stdin = strings.NewReader(lines)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// serveNew serves with the folder's configuration, and sends a PDU to which its rule applies:
// of the servers of users 1, 2 and 3, only that of user 2 receives it.
func serveNew(t *testing.T, language toolchain.Language) {
	t.Helper()
	p := start(t, "demo", "--set", "wasm.load_time=1m") // the machine may be busy
	var peers []peer
	for user := uint32(1); user <= 3; user++ {
		c := p.dial()
		c.say(pdutest.Online(pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_MAC)))
		c.settle()
		peers = append(peers, c)
	}
	// The fields 1 and 2 of both are the users; 5 says that a chat is a single one.
	about := pdutest.Raw(pdu.CID_MSG_DATA, 9, []byte{1 << 3, 1, 2 << 3, 2, 5 << 3, 1})
	if language == toolchain.Table {
		about = pdutest.Raw(pdu.CID_SWITCH_P2P_CMD, 9, []byte{1 << 3, 1, 2 << 3, 2})
	}
	toAll := pdutest.Raw(pdu.CID_FILE_NOTIFY, 10, nil)
	peers[0].say(about, toAll)
	peers[1].expect(about, toAll)
	peers[2].expect(toAll)
}

// The error names a compiler that is not installed, and how to install it; the output of one
// that finds faults is printed.
func TestBuildWithoutToolchain(t *testing.T) {
	t.Chdir(t.TempDir())
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	var out bytes.Buffer
	if code := run([]string{"policy", "new", "--lang", "c", "demo"}, nil, &out, &out); code != 0 {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	out.Reset()
	code := run([]string{"policy", "build", "demo"}, nil, &out, &out)
	if want := "switchyard: looked for clang and did not find it; install clang and lld: apt-get install clang lld\n"; code != exitUnavailable || out.String() != want {
		t.Errorf("exit code %d and %q, want %d and %q", code, out.String(), exitUnavailable, want)
	}

	program(t, filepath.Join(bin, "wasm-ld"), "")
	program(t, filepath.Join(bin, "clang"), "echo 'policy.c:3:1: error: expected expression' >&2; exit 1")
	out.Reset()
	code = run([]string{"policy", "build", "demo"}, nil, &out, &out)
	if want := "policy.c:3:1: error: expected expression\nswitchyard: build demo: it does not compile"; code != exitData || !strings.HasPrefix(out.String(), want) {
		t.Errorf("exit code %d and %q, want %d and %q", code, out.String(), exitData, want)
	}
}

func program(t *testing.T, path, script string) {
	t.Helper()
	write(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// A refused module is not written, and the existing file stays.
func TestBuildRefusedModule(t *testing.T) {
	t.Chdir(t.TempDir())
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	mkdir(t, "demo")
	write(t, "demo/policy.c", "")
	write(t, "demo.wasm", "the one before")
	program(t, filepath.Join(bin, "wasm-ld"), "")
	program(t, filepath.Join(bin, "clang"), `while [ "$1" != -o ]; do shift; done; printf '\0asm\1\0\0\0' >"$2"`)
	var out bytes.Buffer
	code := run([]string{"policy", "build", "demo"}, nil, &out, &out)
	if want := `policy "demo.wasm" refused at the exports gate`; code != exitConfig || !strings.Contains(out.String(), want) {
		t.Errorf("exit code %d and %q, want %d and %q", code, out.String(), exitConfig, want)
	}
	if text, err := os.ReadFile("demo.wasm"); err != nil || string(text) != "the one before" {
		t.Errorf("demo.wasm has %q, %v", text, err)
	}
	if names, err := filepath.Glob(".*"); err != nil || len(names) > 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
}

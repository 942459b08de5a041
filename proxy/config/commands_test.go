package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"switchyard/pdu"
)

func TestFaultsOfCommands(t *testing.T) {
	t.Parallel()
	const write = `write the id as in CID_X = 0x0901, or as in CID_X = { id = 0x0901, message = "my.Order" }`
	wantFaults(t, []faultCase{
		{"[commands]\nCID_X = 0x0901\nCID_Y = { id = 0x0902, message = \"IM.Message.IMMsgData\" }\n[commands.CID_Z]\nid = 3", `<nil>`},
		{"commands = 3", `1: "commands" is a table; write [commands] and its keys below`},
		{"[command]\nCID_X = 1", `1: unknown key "command"; did you mean "commands"?`},
		{"[commands]\nprotoo = \"my.proto\"", `2: commands: "protoo" cannot be the name of a command; did you mean proto?`},
		{"[commands]\ncid_x = 1", `2: commands: "cid_x" cannot be the name of a command; write CID_ and then A-Z, 0-9 and single _, such as CID_MY_ORDER`},
		{"[commands]\nCID_MSG_DATA = 0x0901", `2: commands.CID_MSG_DATA: CID_MSG_DATA is a command of the protocol, 0x0301; choose another name`},
		{"[commands]\nCID_X = 0x0301", `2: commands.CID_X: the id 0x0301 is that of CID_MSG_DATA in the protocol; choose an id that docs/protocol.md does not list, such as 0x0901`},
		{"[commands]\nCID_Y = 0x0901\nCID_X = 0x0901", `3: commands.CID_X: the id 0x0901 is that of CID_Y as well; keep one`},
		{"[commands]\nCID_X = 65536", `2: commands.CID_X: the id 65536 is out of range; ids go from 0x0001 to 0xffff; the high byte is the service`},
		{"[commands]\nCID_X = \"0x0901\"", `2: commands.CID_X: the id "0x0901" is in quotes; write it without them`},
		{"[commands]\nCID_X = \"101%\"", `2: commands.CID_X: "101%" is not an id; ` + write},
		{"[commands]\nCID_X = { id = \"0901\" }", `2: commands.CID_X: "0901" is not an id; ` + write},
		{"[commands]\nCID_X = \"65536\"", `2: commands.CID_X: "65536" is not an id; ` + write},
		{"[commands]\nCID_X = \"0\"", `2: commands.CID_X: "0" is not an id; ` + write},
		{"[commands]\nCID_X = \"CID_Y\"", `2: commands.CID_X: "CID_Y" is not an id; ` + write},
		{"[commands]\nCID_X = true", `2: commands.CID_X: its id is not a number; ` + write},
		{"[commands]\nCID_X = {}", `2: commands.CID_X: it has no id; ` + write},
		{"[commands]\nCID_X = { id = 0x0901, mesage = \"a\" }", `2: commands.CID_X: unknown key "mesage"; did you mean message?`},
		{"[commands]\nCID_X = { id = 0x0901, message = 1 }", `2: commands.CID_X: its message is not a name; write it in quotes, as in message = "my.Order"`},
		{"[commands]\nCID_X = { id = 0x0901, message = \"my.Order\" }", `2: commands.CID_X: there is no message "my.Order" in the protocol; name the file that has it, as in proto = "my.proto" above the commands`},
		{"[commands]\nproto = 1\nCID_X = { id = 0x0901, message = \"my.Order\" }", `2: commands.proto: got 1; write a text in quotes`},
		{"[commands]\nproto = \"none.proto\"\nCID_X = { id = 0x0901, message = \"my.Order\" }", `2: commands.proto: stat none.proto: no such file or directory; name a .proto file, relative to this one`},
		{"[commands]\nproto = \"/\"", `2: commands.proto: it is a folder; name a .proto file, relative to this one`},
		// Names are known in the same configuration.
		{"[tenant.default]\nmay_commands = [\"CID_X\", \"CID_X-0x09ff\"]\nrelease.accept = [\"CID_X\"]\n[commands]\nCID_X = 0x0901", `<nil>`},
		{"[tenant.default]\nmay_commands = [\"CID_MY_ODRER\"]\n[commands]\nCID_MY_ORDER = 0x0901", `2: tenant.default.may_commands: unknown command "CID_MY_ODRER"; did you mean CID_MY_ORDER?`},
	})
}

// A fault of a .proto file has its place there, and one of a message in the configuration.
func TestFaultsOfProto(t *testing.T) {
	t.Parallel()
	synctest.Test(t, faultsOfProto) // no read waits until its file is at rest
}

func faultsOfProto(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.toml")
	for _, c := range []struct{ proto, message, want string }{
		{"syntax = \"proto2\";\npackage my;\nmessage Order {}\n", "my.Order", ""},
		{"syntax = \"proto2\";\npackage my;\nmessage Order {}\n", "Order", `DIR/c.toml:3: commands.CID_X: there is no message "Order" in DIR/my.proto; did you mean my.Order?`},
		{"syntax = \"proto2\";\nmessage Order { optional Side side = 1; }\n", "Order", `DIR/my.proto:2: field Order.side: unknown type Side; correct it, or check it with protoc`},
	} {
		writeFile(t, filepath.Join(dir, "my.proto"), c.proto)
		writeFile(t, path, "[commands]\nproto = \"my.proto\"\nCID_X = { id = 0x0901, message = \""+c.message+"\" }\n")
		want := strings.ReplaceAll(c.want, "DIR", dir)
		for name, load := range map[string]func() (any, error){
			"Load":           func() (any, error) { return Load(path, nil, nil) },
			"CustomCommands": func() (any, error) { return CustomCommands(path) },
		} {
			got := ""
			if _, err := load(); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s of %s: got %s, want %s", name, c.message, got, want)
			}
		}
	}
}

func TestCommandsAreLoaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, commandsAreLoaded) // no read waits until its file is at rest
}

func commandsAreLoaded(t *testing.T) {
	dir := t.TempDir()
	path, proto := filepath.Join(dir, "c.toml"), filepath.Join(dir, "my.proto")
	const order = "[commands]\nproto = \"my.proto\"\nCID_MY_ORDER = { id = 0x0901, message = \"my.Order\" }\n"
	writeFile(t, proto, "syntax = \"proto2\";\npackage my;\nmessage Order {}\n")
	load := func(source string) *Config {
		writeFile(t, path, source)
		c, err := Load(path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := load(order)
	if got := before.Commands.Set.Commands(); !slices.Equal(got, []pdu.Command{{Service: 9, ID: 0x0901, Name: "CID_MY_ORDER", Message: "my.Order"}}) {
		t.Errorf("commands are %v", got)
	}
	if !slices.Equal(before.Commands.Files, []string{proto}) {
		t.Errorf("files are %q", before.Commands.Files)
	}
	wantChanges := func(source string, want ...string) {
		t.Helper()
		if live, restart := Changes(before, load(source)); !slices.Equal(live, want) || restart != nil {
			t.Errorf("changes are %q and %q, want %q", live, restart, want)
		}
	}
	wantChanges(order)
	const fill = "CID_MY_FILL = 0x0902\n"
	before = load(order + fill)
	wantChanges(strings.Replace(order, "CID_MY_ORDER", fill+"CID_MY_ORDER", 1)) // another order
	before = load(order)
	wantChanges(order+"CID_B = 0x0902\n", "commands.CID_B")
	wantChanges(strings.Replace(order, "0x0901", "0x0903", 1), "commands.CID_MY_ORDER")
	wantChanges("[commands]\nCID_MY_PONG = 2\n", "commands.CID_MY_ORDER", "commands.CID_MY_PONG", "commands.proto")
	writeFile(t, proto, "syntax = \"proto2\";\npackage my;\nmessage Order { optional uint32 qty = 1; }\n")
	wantChanges(order, "commands.proto")
}

func TestTooManyCommands(t *testing.T) {
	t.Parallel()
	source := "[commands]\n"
	for i := range 257 {
		source += fmt.Sprintf("CID_X%d = %d\n", i, 0x0901+i)
	}
	wantFaults(t, []faultCase{{source, "1: commands: 257 custom commands, at most 256 are possible; remove some"}})
}

// Commands that need nothing else of a configuration ignore its other faults.
func TestCustomCommandsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, customCommandsAlone) // no read waits until its file is at rest
}

func customCommandsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	for source, want := range map[string]int{
		"[commands]\nCID_X = 0x0901\n[peer]\ntimeout = 3\nnone = 1\n": 1,
		"[peer]\ntimeout = 3\n": 0,
		"not TOML":              0,
		"":                      0,
	} {
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		if set, err := CustomCommands(path); err != nil || len(set.Commands()) != want {
			t.Errorf("%q: %v, %v, want %d commands", source, set.Commands(), err, want)
		}
	}
	if set, err := CustomCommands(path + ".none"); err != nil || set != nil {
		t.Errorf("no file: %v, %v", set, err)
	}
}

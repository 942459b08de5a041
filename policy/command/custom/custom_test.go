package custom

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// folder returns a folder with these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readProto is ReadProto in a bubble, in which the wait for files written just now takes no time.
func readProto(t *testing.T, path string) (m *Messages, files []string, faults []Fault) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		m, files, faults = ReadProto(path)
		time.Sleep(time.Second) // after a fault, other files may still be read
	})
	return m, files, faults
}

const orders = `syntax = "proto3";
package my;
import "types/side.proto";
import "google/protobuf/timestamp.proto";
message Order {
  message Line { uint32 item = 1; }
  uint32 user_id = 1;
  Side side = 2;
  repeated Line lines = 3;
  google.protobuf.Timestamp at = 4;
}
`

const sides = "syntax = \"proto3\";\npackage my;\nenum Side { NONE = 0; BUY = 1; }\nmessage Fill { uint32 order = 1; }\n"

func TestCheck(t *testing.T) {
	before := []pdu.Command{{Name: "CID_MY_ORDER", ID: 0x0901}}
	for _, c := range []struct {
		name string
		id   int64
		want string
	}{
		{"CID_MY_FILL", 0x0902, ""},
		{"CID_X1", 0xffff, ""},
		{"CID_OTHER_MINE", 0x0735, ""},
		{"CID_MY_FILL", 0, "the id 0 is out of range; ids go from 0x0001 to 0xffff; the high byte is the service"},
		{"CID_MY_FILL", 0x10000, "the id 65536 is out of range; ids go from 0x0001 to 0xffff; the high byte is the service"},
		{"CID_MY_FILL", 0x0901, "the id 0x0901 is that of CID_MY_ORDER as well; keep one"},
		{"CID_MY_FILL", 0x0301, "the id 0x0301 is that of CID_MSG_DATA in the protocol; choose an id that docs/protocol.md does not list, such as 0x0901"},
		{"CID_MSG_DATA", 0x0902, "CID_MSG_DATA is a command of the protocol, 0x0301; choose another name"},
		{"MY_FILL", 0x0902, `"MY_FILL" cannot be the name of a command; write CID_ and then A-Z, 0-9 and single _, such as CID_MY_ORDER`},
		{"CID_my", 0x0902, `"CID_my" cannot be the name of a command; write CID_ and then A-Z, 0-9 and single _, such as CID_MY_ORDER`},
		{"CID_A-B", 0x0902, `"CID_A-B" cannot be the name of a command; write CID_ and then A-Z, 0-9 and single _, such as CID_MY_ORDER`},
		{"CID_" + strings.Repeat("A", 61), 0x0902, "the name has 65 characters, at most 64 are possible; shorten it"},
	} {
		got := ""
		if problem := Check(c.name, c.id, before); problem != nil {
			got = problem.Error()
		}
		if got != c.want {
			t.Errorf("%s = %d: got %q, want %q", c.name, c.id, got, c.want)
		}
	}
}

func TestReadProto(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"my.proto": orders, "types/side.proto": sides})
	m, files, faults := readProto(t, filepath.Join(dir, "my.proto"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if want := []string{filepath.Join(dir, "my.proto"), filepath.Join(dir, "types", "side.proto")}; !slices.Equal(files, want) {
		t.Errorf("files are %q, want %q", files, want)
	}
	if got := m.Names(); !slices.Equal(got, []string{"my.Fill", "my.Order", "my.Order.Line"}) {
		t.Errorf("messages are %q", got)
	}
}

func TestProtoRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string // FILE:LINE: what it says; without the folder
	}{
		"syntax":          {map[string]string{"my.proto": "syntax = \"proto3\";\nmessage Order { uint32 a 1; }\n"}, "my.proto:2: syntax error"},
		"unknown type":    {map[string]string{"my.proto": "syntax = \"proto3\";\n\nmessage Order { Side a = 1; }\n"}, "my.proto:3: field Order.a: unknown type Side"},
		"no import":       {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"side.proto\";\n"}, "my.proto:2: there is no file "},
		"no first import": {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"none.proto\";\nimport \"side.proto\";\n", "side.proto": sides}, "my.proto:2: there is no file "}, // and the other is read meanwhile
		"fault in import": {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"side.proto\";\n", "side.proto": "\nenum"}, "side.proto:2: syntax error"},
		"leads out":       {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"../side.proto\";\n"}, "leads out of the folder"},
		"cycle":           {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"my.proto\";\n"}, "cycle found in imports"},
		"too large":       {map[string]string{"my.proto": "syntax = \"proto3\";\n" + strings.Repeat(" ", maxSource)}, "too large"},
		"not a proto":     {map[string]string{"my.proto": "\x00\x01\xff"}, "my.proto:1: "},
		"nested":          {map[string]string{"my.proto": "syntax = \"proto3\";\n" + strings.Repeat("message a{", maxNesting+1)}, "nests deeper than 100 levels"},
		"nested import":   {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"side.proto\";\n", "side.proto": `option (x) = {a: ` + strings.Repeat("[", maxNesting)}, "my.proto:2: "},
		"not nested":      {map[string]string{"my.proto": strings.Repeat("// {\n/* [ */", 200) + `option java_package = "` + strings.Repeat(`{\"`, 200) + "\";\nmessage"}, "my.proto:202: syntax error"},
		"open strings":    {map[string]string{"my.proto": `"` + strings.Repeat(`{\"`, maxSource/4)}, "my.proto:1: "},
		"open comments":   {map[string]string{"my.proto": strings.Repeat("/*{", maxSource/4)}, "my.proto:1: "},
		"UTF-16":          {map[string]string{"my.proto": "syntax = \"proto3\";\nimport \"side.proto\";\n", "side.proto": "\xff\xfes\x00y\x00\n\x00"}, "side.proto:1: it has zero bytes, as UTF-16 has; save the file as UTF-8"},
		"twice":           {map[string]string{"my.proto": "syntax = \"proto3\";\nmessage A {}\nmessage A {}\n"}, `my.proto:3: symbol "A" already defined`},
	} {
		dir := folder(t, c.files)
		m, _, faults := readProto(t, filepath.Join(dir, "my.proto"))
		if m != nil || len(faults) == 0 {
			t.Errorf("%s: accepted", name)
			continue
		}
		got := strings.ReplaceAll(fmt.Sprintf("%s:%d: %v", faults[0].File, faults[0].Line, faults[0]), dir+string(filepath.Separator), "")
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// What is said about long names is short.
func TestLongNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 10_000)
	dir := folder(t, map[string]string{"type.proto": `syntax = "proto3"; message A { ` + long + ` a = 1; }`, "name.proto": `syntax = "proto3"; message ` + long + ` {}`})
	if _, _, faults := readProto(t, filepath.Join(dir, "type.proto")); len(faults) != 1 || len(faults[0].What) > maxWhat || !strings.Contains(faults[0].Error(), "unknown type aaa") {
		t.Errorf("got %.400v", faults)
	}
	m, _, faults := readProto(t, filepath.Join(dir, "name.proto"))
	if p := CheckMessage("B", m); len(faults) > 0 || len(p.Remedy) > 2*maxWhat || !strings.HasSuffix(p.Remedy, "aaa, …") {
		t.Errorf("got %v and %.1000v", faults, p)
	}
}

// A path that leads to another file, such as a token, does not show it.
func TestFaultsQuoteNoSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"3b9d5e0c7f1a4d26", "0989s3cr3t", "0xs3cr3t", "anna 3b9d5e0c7f1a4d26", `"s3cr3t\x"`, `"\us3cr"`, "9" + strings.Repeat("9", 400) + ".5e9999"} {
		dir := folder(t, map[string]string{"token": secret, "my.proto": `syntax = "proto3"; import "token";`})
		for _, name := range []string{"token", "my.proto"} {
			_, _, faults := readProto(t, filepath.Join(dir, name))
			if len(faults) == 0 {
				t.Fatalf("%s with %.20q is sound", name, secret)
			}
			for _, f := range faults {
				if text := f.Error(); strings.Contains(text, "3b9d") || strings.Contains(text, "s3cr") || strings.Contains(text, "999") {
					t.Errorf("%s with %.20q: %.100s", name, secret, text)
				}
			}
		}
	}
}

// What oneofs cost the compiler grows with the square of a message, so it is bounded before: of many
// oneofs and of many optional fields, but not of many fields, nor in many messages.
func TestTooManyOneofs(t *testing.T) {
	t.Parallel()
	repeat := func(n int, begin, format, end string) string {
		text := []byte(begin)
		for i := range n {
			text = fmt.Appendf(text, format, i, i+1)
		}
		return string(text) + end
	}
	const proto2, proto3 = "syntax = \"proto2\";\n", "syntax = \"proto3\";\n"
	for name, c := range map[string]struct {
		source  string
		refused bool
	}{
		"oneofs":                      {proto2 + repeat(4000, "message M {\n", "oneof o%d { int32 f%[1]d = %d; }\n", "}\n"), true},
		"oneofs in a nested message":  {proto3 + repeat(4000, "message M { message N {\n", "oneof o%d{int32 f%[1]d=%d;}", "} }\n"), true},
		"optional fields":             {proto3 + repeat(4000, "message M {\n", "optional int32 f%d = %d;\n", "}\n"), true},
		"optional fields of proto2":   {proto2 + repeat(4000, "message M {\n", "optional int32 f%d = %d;\n", "}\n"), false},
		"fields of one oneof":         {proto3 + repeat(4000, "message M { oneof o {\n", "int32 f%d = %d;\n", "} }\n"), false},
		"messages with optional ones": {proto3 + repeat(1000, "", "message M%d { optional int32 a = 1; optional int32 b = 2; oneof c { int32 d = 3; } } // %d\n", ""), false},
		"comments and strings":        {proto3 + "message M { int32 a = 1; }\n// " + strings.Repeat("oneof; ", 4000) + "\n/* " + strings.Repeat("optional; ", 4000) + "*/\n", false},
	} {
		if got := oneofSteps([]byte(c.source)) > maxOneofSteps; got != c.refused {
			t.Errorf("%s: refused %v, want %v: %d steps", name, got, c.refused, oneofSteps([]byte(c.source)))
		}
	}
	path := filepath.Join(folder(t, map[string]string{"my.proto": proto3 + repeat(4000, "message M {\n", "optional int32 f%d = %d;\n", "}\n")}), "my.proto")
	if _, _, faults := readProto(t, path); len(faults) != 1 || faults[0] != (Fault{path, 0, "a message has too many oneofs or optional fields", "make several messages of it"}) {
		t.Errorf("faults %+v", faults)
	}
}

func TestTooManyImports(t *testing.T) {
	t.Parallel()
	files := map[string]string{"my.proto": "syntax = \"proto3\";\n", "empty.proto": "syntax = \"proto3\";\n"}
	for i := range maxFiles {
		files["my.proto"] += fmt.Sprintf("import \"f%d.proto\";\n", i)
	}
	dir := folder(t, files)
	for i := range maxFiles {
		if err := os.Symlink("empty.proto", filepath.Join(dir, fmt.Sprintf("f%d.proto", i))); err != nil {
			t.Fatal(err)
		}
	}
	_, opened, faults := readProto(t, filepath.Join(dir, "my.proto"))
	if len(faults) == 0 || !strings.Contains(faults[0].What, "more than 64 files") || len(opened) > maxFiles {
		t.Errorf("%d files were opened, faults %v", len(opened), faults)
	}
}

func TestCheckMessage(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"my.proto": orders, "types/side.proto": sides})
	m, _, _ := readProto(t, filepath.Join(dir, "my.proto"))
	for _, c := range []struct {
		name     string
		messages *Messages
		want     string
	}{
		{"my.Order", m, ""},
		{"my.Order.Line", m, ""},
		{"IM.Message.IMMsgData", m, ""},
		{"IM.Message.IMMsgData", nil, ""},
		{"Order", m, "did you mean my.Order?"},
		{"my.Odrer", m, "did you mean my.Order?"},
		{"zzz", m, "it has my.Fill, my.Order, my.Order.Line"},
		{"google.protobuf.Timestamp", m, "it has my.Fill"},
		{"my.Order", nil, `there is no message "my.Order" in the protocol; name the file that has it, as in proto = "my.proto" above the commands`},
	} {
		got := ""
		if problem := CheckMessage(c.name, c.messages); problem != nil {
			got = problem.Error()
		}
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A file may have messages of the protocol, such as a copy of TeamTalk's files, but no others by their
// names: the protocol's are used.
func TestMessagesOfTheProtocol(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile("../../../pdu/pb/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), "pdu/pb/", "")
	}
	for field, want := range map[string]string{
		"":                             "",
		"required uint32 other = 900;": "IM.Message.IMMsgData in DIR/message.proto is another message than that of the protocol, which has the same name; give it another name, or another package",
	} {
		const begin = "message IMMsgData {"
		dir := folder(t, map[string]string{"message.proto": strings.Replace(read("message.proto"), begin, begin+field, 1), "basedefine.proto": read("basedefine.proto")})
		m, _, faults := readProto(t, filepath.Join(dir, "message.proto"))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		got := ""
		if problem := CheckMessage("IM.Message.IMMsgData", m); problem != nil {
			got = problem.Error()
		}
		if got != strings.ReplaceAll(want, "DIR", dir) {
			t.Errorf("with %q: got %q, want %q", field, got, want)
		}
	}
}

// A set in use gives bodies their fields, and its text changes with all that it depends on.
func TestSet(t *testing.T) {
	t.Cleanup((*Set)(nil).Use)
	files := map[string]string{"my.proto": orders, "types/side.proto": sides}
	texts := map[string]bool{(*Set)(nil).Text(): true}
	read := func(commands ...pdu.Command) *Set {
		m, _, faults := readProto(t, filepath.Join(folder(t, files), "my.proto"))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		s := NewSet(commands, m)
		if texts[s.Text()] {
			t.Errorf("the text has not changed: %s", s.Text())
		}
		texts[s.Text()] = true
		return s
	}
	order := pdu.Command{Service: 9, ID: 0x0901, Name: "CID_MY_ORDER", Message: "my.Order"}
	s := read(order)
	delete(texts, s.Text())
	read(order) // in another folder, which the text does not depend on
	s.Use()
	body, err := message.FromJSON(0x0901, []byte(`{"user_id":7,"side":"BUY","lines":[{"item":3}]}`))
	if err != nil || fmt.Sprintf("%x", body) != "080710011a020803" {
		t.Errorf("the body is %x, %v", body, err)
	}
	if got := strings.ReplaceAll(string(message.JSON(0x0901, body)), " ", ""); got != `{"user_id":7,"side":"BUY","lines":[{"item":3}]}` {
		t.Errorf("it is read as %s", got)
	}
	(*Set)(nil).Use()
	if message.Type(0x0901) != nil || len(pdu.CustomCommands()) > 0 {
		t.Error("a set that is no longer in use is known")
	}
	if again := NewSet([]pdu.Command{order}, nil); texts[again.Text()] {
		t.Error("the text does not depend on the messages")
	}
	order.ID = 0x0902
	read(order)
	order.Message = "my.Fill"
	read(order)
	files["types/side.proto"] += "// more\n"
	read(order)
}

// A body of a peer is shown as JSON only if that takes no more time and space than the body: neither
// deep nesting nor a google.protobuf.Any that holds something, which may hold another one, is. As
// text, the content of an any is shown as bytes.
func TestBodiesOfHostilePeers(t *testing.T) {
	t.Cleanup((*Set)(nil).Use)
	m, _, faults := readProto(t, filepath.Join(folder(t, map[string]string{"my.proto": `syntax = "proto3";
package my;
import "google/protobuf/any.proto";
message Node { Node next = 1; google.protobuf.Any any = 2; }
`}), "my.proto"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	NewSet([]pdu.Command{{Service: 9, ID: 0x0901, Name: "CID_MY_NODE", Message: "my.Node"}}, m).Use()
	// within returns a field of that number whose content is the bytes.
	within := func(number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	nested := func(levels int) (body []byte) {
		for range levels {
			body = within(1, body)
		}
		return body
	}
	holding := func(content []byte) []byte {
		return append(within(1, []byte("type.googleapis.com/google.protobuf.Any")), within(2, content)...)
	}
	for name, test := range map[string]struct {
		body  []byte
		shown bool
	}{
		"nested":               {nested(50), true},
		"nested deep":          {nested(9_000), false},
		"an empty any":         {within(2, nil), true},
		"an any within an any": {within(2, holding(holding(nil))), false},
	} {
		text := message.JSON(0x0901, test.body)
		if (text != nil) != test.shown {
			t.Errorf("%s: %d bytes of JSON, shown %t", name, len(text), test.shown)
		}
		if _, err := json.Marshal(map[string]any{"body": []json.RawMessage{text}}); text != nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := message.Text(0x0901, within(2, holding(holding(nil)))); !strings.HasPrefix(text, `any:{type_url:"type.googleapis.com/google.protobuf.Any" value:"`) {
		t.Errorf("as text, the content of an any is expanded: %s", text)
	}
}

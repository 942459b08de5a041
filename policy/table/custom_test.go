package table

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/command/custom"
)

// useOrders makes CID_MY_ORDER and CID_MY_CHAT custom commands, and returns the former's id.
func useOrders(t *testing.T, id pdu.CommandID) pdu.CommandID {
	t.Helper()
	proto := filepath.Join(t.TempDir(), "my.proto")
	const text = "syntax = \"proto3\";\npackage my;\nenum Side { NONE = 0; BUY = 1; SELL = 2; }\n" +
		"message Order { uint32 buyer = 1; Side side = 2; uint32 qty = 3; string note = 4; repeated uint64 friends = 5; }\n"
	if err := os.WriteFile(proto, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	messages, _, faults := custom.ReadProto(proto)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	t.Cleanup((*custom.Set)(nil).Use)
	custom.NewSet([]pdu.Command{
		{Service: pdu.ServiceID(id >> 8), ID: id, Name: "CID_MY_ORDER", Message: "my.Order"},
		{Service: 0x0a, ID: 0x0a01, Name: "CID_MY_CHAT", Message: "IM.Message.IMMsgData"},
	}, messages).Use()
	return id
}

const ownRules = `
[route]
CID_MY_CHAT          = "unicast fields from_user_id, not-sender"
CID_MY_ORDER-0x09ff  = "broadcast-all"
[route.CID_MY_ORDER]
"side = SELL and qty > 0x10" = "drop, log"
"side = BUY"                 = "unicast fields buyer friends"
else                         = "broadcast-except-sender"
[service.SID_MSG]
CID_MY_ORDER         = "drop"
[from.master]
CID_MY_ORDER         = "unicast fields buyer"
`

// noBase is for tables that extend nothing, but do not come alone.
func noBase(string) ([]byte, error) { return nil, os.ErrNotExist }

// The text of a table with custom commands has their ids and the numbers of their fields, and is the same
// table where they are not known.
func TestCustomCommandsInATable(t *testing.T) {
	id := useOrders(t, 0x0901)
	table, err := Extend("routes.toml", []byte(ownRules), noBase)
	if err != nil {
		t.Fatal(err)
	}
	if !table.UsesCustom() {
		t.Error("the table does not know that it uses custom commands")
	}
	if got := table.Decide(9, id, Sender{}, []byte{0x10, 2, 0x18, 17}); got.If != "side = SELL and qty > 0x10" || got.Verdict.String() != "drop, log" {
		t.Errorf("the case is %+v", got)
	}
	const want = `# A routing table and what it extends, written out as one by Switchyard.

[route]
0x0a01 = "unicast fields 1, not-sender"  # line 3
0x0901-0x09ff = "broadcast-all"  # line 4
else = "drop, log"

[route.0x0901]
"field 2 = 2 and field 3 > 16" = "drop, log"  # line 6
"field 2 = 1" = "unicast fields 1 5"  # line 7
else = "broadcast-except-sender"  # line 8

[service.SID_MSG]
0x0901 = "drop"  # line 10

[from.master]
0x0901 = "unicast fields 1"  # line 12
`
	if got := string(table.Text()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	(*custom.Set)(nil).Use()
	again := parse(t, want)
	if again.UsesCustom() || string(again.Module()) != string(table.Module()) || string(again.Text()) == "" {
		t.Error("the text is another table")
	}
}

// A name stands for another id as soon as the configuration says so.
func TestCustomCommandMoves(t *testing.T) {
	var modules []string
	for _, id := range []pdu.CommandID{0x0901, 0x0902} {
		useOrders(t, id)
		table, err := Extend("routes.toml", []byte("[route]\nCID_MY_ORDER = 'close'"), noBase)
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, string(table.Module()))
	}
	if modules[0] == modules[1] {
		t.Error("the module is the same")
	}
}

func TestCustomCommandsRefused(t *testing.T) {
	useOrders(t, 0x0901)
	for src, want := range map[string]string{
		"CID_MY_ODRER = 'drop'":                                  `r.toml:2: unknown command "CID_MY_ODRER"; did you mean CID_MY_ORDER?`,
		"CID_MY_ORDER = 'unicast fields bayer'":                  `r.toml:2: my.Order has no field "bayer" that holds users; did you mean buyer?`,
		"CID_MY_ORDER = 'unicast fields note'":                   `r.toml:2: my.Order has no field "note" that holds users; those that do are buyer, qty, friends`,
		"0x0901 = 'drop'\nCID_MY_ORDER = 'drop'":                 `r.toml:3: CID_MY_ORDER names the same as 0x0901 on line 2; keep one`,
		"[route.CID_MY_ORDER]\n'qtty = 1' = 'drop'\nelse='drop'": `r.toml:3: my.Order has no numeric field "qtty"; did you mean qty?`,
		"[route.0x0901]\n'side = SEL' = 'drop'\nelse='drop'":     `r.toml:3: "SEL" is not a number; did you mean SELL?`,
	} {
		if _, err := Extend("r.toml", []byte("[route]\n"+src), noBase); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", src, err, want)
		}
	}
}

// A table that comes alone means what its text says, whatever this configuration names.
func TestCustomCommandsInATableThatComesAlone(t *testing.T) {
	useOrders(t, 0x0901)
	const remedy = `is a name of this configuration, which a table that comes alone, as from an address, cannot use; write 0x0901, or write the table out: 'switchyard policy show --table FILE'`
	for src, want := range map[string]string{
		"CID_MY_ORDER = 'drop'":                               `r.toml:2: CID_MY_ORDER ` + remedy,
		"CID_MY_ORDER-0x09ff = 'drop'":                        `r.toml:2: CID_MY_ORDER ` + remedy,
		"[service.SID_MSG]\nCID_MY_ORDER = 'drop'":            `r.toml:3: CID_MY_ORDER ` + remedy,
		"[route.0x0901]\n'qty = 1' = 'drop'\nelse='drop'":     `r.toml:3: the command has no known message to find the field "qty" in`,
		"0x0901 = 'unicast fields buyer'":                     `r.toml:2: the rule has no one known command to find the field "buyer" in`,
		"[route.0x0901]\n'field 3 = 1' = 'drop'\nelse='drop'": ``,
		"0x0901-0x09ff = 'drop'":                              ``,
	} {
		table, err := Parse("r.toml", []byte("[route]\n"+src))
		if want == "" && (err != nil || table.UsesCustom()) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", src, err, want)
		}
	}
}

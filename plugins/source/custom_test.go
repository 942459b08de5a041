package source

import (
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/abi"
)

// A table with custom commands is one content with their ids, from which alone the same module is made.
func TestTableWithCustomCommands(t *testing.T) {
	t.Cleanup(func() { message.SetCustom(nil, nil) })
	dir := t.TempDir()
	const plain = "[route]\nCID_MSG_DATA = 'broadcast-all'\n"
	saveAll(t, dir, map[string]string{"routes.toml": "[route]\nCID_MY_ORDER = 'broadcast-all'\n", "plain.toml": plain})
	found := func(id pdu.CommandID) Module {
		t.Helper()
		message.SetCustom([]pdu.Command{{Service: pdu.ServiceID(id >> 8), ID: id, Name: "CID_MY_ORDER"}}, nil)
		m, err := find(t, "file:routes.toml", dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Table.Verdict(9, id); got != abi.BroadcastAll || m.Rule(9, id).Source != "routes.toml:2" {
			t.Errorf("%v: %v, written at %q", id, got, m.Rule(9, id).Source)
		}
		return m
	}
	first, second := found(0x0901), found(0x0902)
	if first.SHA256 == second.SHA256 || first.FileSHA256 == second.FileSHA256 {
		t.Error("the id has changed, and the policy is the same")
	}
	if m, err := find(t, "file:plain.toml", dir, 1<<20); err != nil || string(m.File) != plain {
		t.Errorf("a table without custom commands is %q, %v", m.File, err)
	}
	message.SetCustom(nil, nil)
	kept, err := File{Name: "file:routes.toml", Path: filepath.Join(dir, "routes.toml"), Bytes: first.File, SHA256: sum(first.File)}.Module()
	if err != nil || kept.SHA256 != first.SHA256 {
		t.Errorf("what is kept is another policy: %v, %s", err, kept.SHA256)
	}
	if _, err := find(t, "file:routes.toml", dir, 1<<20); err == nil || !strings.Contains(err.Error(), `unknown command "CID_MY_ORDER"`) {
		t.Errorf("without the name: %v", err)
	}
}

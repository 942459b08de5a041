package schema

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

func TestSchemasAreUpToDate(t *testing.T) {
	for name, want := range map[string][]byte{"config": Config(), "table": Table(), "cases": Cases()} {
		path := filepath.FromSlash("../../../deploy/schema/" + name + ".schema.json")
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is stale: a key, its range or its comment in config.toml, or what tables or cases may say, has changed; run go generate ./cmd/switchyard/schema", path)
		}
	}
}

// The schemas of tables and cases have the custom commands that are known, in a table with what their rules can be about.
func TestTableHasCustomCommands(t *testing.T) {
	t.Cleanup(func() { message.SetCustom(nil, nil) })
	message.SetCustom([]pdu.Command{{Service: 9, ID: 0x0901, Name: "CID_MY_CHAT", Message: "IM.Message.IMMsgData"}, {Service: 9, ID: 0x0902, Name: "CID_MY_PING"}}, nil)
	if !strings.Contains(string(Cases()), `"CID_MY_CHAT"`) {
		t.Error("the schema of cases does not have CID_MY_CHAT")
	}
	text := string(Table())
	for _, want := range []string{`"CID_MY_CHAT"`, "0x0901, IM.Message.IMMsgData. Fields for unicast fields: from_user_id", `"CID_MY_PING"`, "0x0902, without a known message."} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not have %s", want)
		}
	}
}

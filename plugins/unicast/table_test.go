package unicast

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
)

// The table of the README decides as the policy does about all commands, and about chats of any kind, but
// for bodies in which msg_type occurs several times with different values.
func TestTableOfReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "```toml routes.toml\n")
	text, _, _ = strings.Cut(text, "```")
	routes, err := table.Extend("routes.toml", []byte(text), func(string) ([]byte, error) { return teamtalk.Table, nil })
	if err != nil {
		t.Fatal(err)
	}
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	var policies [2]*wasm.Policy
	for i, module := range [][]byte{Module, routes.Module()} {
		if policies[i], err = e.LoadOwn(t.Context(), "routes", module, nil); err != nil {
			t.Fatal(err)
		}
		defer policies[i].Close()
	}
	same := func(c pdu.CommandID, body []byte) policy.Verdict {
		t.Helper()
		q := policy.Question{Header: pdu.Append(nil, pdu.SID_MSG, c, 0, body)[:pdu.HeaderLen], Body: body, Session: 1}
		guest, own := policies[0].Explain(q), policies[1].Explain(q)
		if guest.Verdict != own.Verdict || guest.Fault != nil || own.Fault != nil {
			t.Fatalf("%v % x: %v by the policy, %v by the table", c, body, guest.Verdict, own.Verdict)
		}
		return own.Verdict
	}
	for _, c := range pdu.Commands {
		same(c.ID, nil)
	}
	random := rand.New(rand.NewPCG(3, 4))
	seen := map[policy.Action]int{}
	for range 300 {
		var body []byte
		for _, n := range random.Perm(6)[:random.IntN(7)] {
			body = protowire.AppendTag(body, protowire.Number(n+1), protowire.VarintType)
			body = protowire.AppendVarint(body, []uint64{0, 1, 2, 3, 17, 18}[random.IntN(6)])
		}
		if random.IntN(4) == 0 {
			body = append(body, byte(random.Uint32()))
		}
		seen[same(pdu.CID_MSG_DATA, body).Action()]++
	}
	if len(seen) != 2 {
		t.Errorf("the bodies led to %v alone", seen)
	}
}

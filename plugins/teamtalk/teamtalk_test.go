package teamtalk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
)

func TestModuleIsBuiltFromTable(t *testing.T) {
	built, err := table.Compile("routes.toml", Table)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, Module) {
		t.Error("teamtalk.wasm is not what routes.toml compiles to; run go generate ./plugins/teamtalk")
	}
	if n := len(Module); n >= 2<<10 {
		t.Errorf("the module has %d bytes, want less than 2 KiB", n)
	}
}

// original is what the route_server does, by number, so that a wrong name is found too.
var original = map[uint32]policy.Verdict{
	0x0701: abi.Consume,
	0x0708: abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift,
	0x070a: abi.Handle | abi.UserStatusUpdate<<abi.ArgumentShift,
	0x0707: abi.Handle | abi.RoleSet<<abi.ArgumentShift,
	0x020a: abi.Handle | abi.UsersStatusRequest<<abi.ArgumentShift,
	0x0301: abi.BroadcastExceptSender,
	0x0601: abi.BroadcastExceptSender,
	0x0304: abi.BroadcastExceptSender,
	0x070d: abi.BroadcastExceptSender,
	0x040b: abi.BroadcastExceptSender,
	0x0508: abi.BroadcastExceptSender,
	0x020f: abi.BroadcastExceptSender,
	0x0215: abi.BroadcastAll,
}

func TestEveryCommandAsInTheOriginal(t *testing.T) {
	classify := load(t)
	for _, service := range []uint32{0, 1, 2, 6, 7, 8, 0x0301, 0xffff} {
		for command := range uint32(1 << 16) {
			want, ok := original[command]
			if !ok {
				want = abi.Drop | abi.Log
			}
			if got := classify(service, command); got != want {
				t.Fatalf("service %#04x, %v: got %v, want %v", service, pdu.CommandID(command), got, want)
			}
		}
	}
}

// The README's table lists exactly what the policy does.
func TestREADME(t *testing.T) {
	classify := load(t)
	rows := rowsOfREADME(t)
	if got, want := rows["everything else"], policy.Verdict(abi.Drop|abi.Log).String(); got != want {
		t.Errorf("everything else: README.md says %q, want %q", got, want)
	}
	delete(rows, "everything else")
	for _, c := range pdu.Commands {
		row := fmt.Sprintf("%#04x %v", uint16(c.ID), c.ID)
		got, listed := rows[row]
		delete(rows, row)
		v := classify(uint32(c.Service), uint32(c.ID))
		if wanted := v != abi.Drop|abi.Log; wanted != listed || listed && got != v.String() {
			t.Errorf("%s: README.md says %q, the policy %q", row, got, v)
		}
	}
	for row := range rows {
		t.Errorf("README.md has a row for %s, which is not a command", row)
	}
}

// rowsOfREADME returns the verdicts by id and name, as "0x0301 CID_MSG_DATA".
func rowsOfREADME(t *testing.T) map[string]string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		if len(cells) == 4 && !strings.HasPrefix(cells[1], " -") && cells[1] != " Command " {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	return rows
}

// The README's example of a changed table compiles and does what the README says.
func TestExampleOfREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, change, _ := strings.Cut(string(readme), "```toml\n")
	change, _, ok := strings.Cut(change, "```")
	name, _, isRule := strings.Cut(change, " ")
	if !ok || !isRule {
		t.Fatal("README.md has no example")
	}
	var changed []string
	for line := range strings.Lines(string(Table)) {
		if strings.HasPrefix(line, name+" ") {
			line = change
		}
		changed = append(changed, line)
	}
	mine, err := table.Parse("README.md", []byte(strings.Join(changed, "")))
	if err != nil {
		t.Fatal(err)
	}
	const want = abi.Unicast | abi.ToFields<<abi.SelectorShift | abi.ElseBroadcast | abi.NotSender | 0b110<<abi.ArgumentShift
	if got := mine.Verdict(pdu.SID_SWITCH_SERVICE, pdu.CID_SWITCH_P2P_CMD); got != want {
		t.Errorf("got %v, want %v", got, policy.Verdict(want))
	}
}

func BenchmarkClassify(b *testing.B) {
	classify := load(b)
	b.ReportAllocs()
	command := uint32(0)
	for b.Loop() {
		classify(7, command&0x7ff)
		command++
	}
}

// load runs the module on wazero alone, without Switchyard's engine.
func load(t testing.TB) func(service, command uint32) policy.Verdict {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { runtime.Close(ctx) })
	guest, err := runtime.Instantiate(ctx, Module)
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	classify, stack := guest.ExportedFunction(abi.Classify), make([]uint64, 2)
	return func(service, command uint32) policy.Verdict {
		stack[0], stack[1] = uint64(service), uint64(command)
		if err := classify.CallWithStack(ctx, stack); err != nil {
			t.Fatalf("classify(%#x, %#x): %v", service, command, err)
		}
		return policy.Verdict(stack[0])
	}
}

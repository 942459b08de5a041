package table

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// load runs the module on wazero, without any other part of Switchyard.
func load(t testing.TB, module []byte) func(service, command uint32) policy.Verdict {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { runtime.Close(ctx) })
	guest, err := runtime.Instantiate(ctx, module)
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	classify, stack := guest.ExportedFunction(abi.Classify), make([]uint64, 2)
	return func(service, command uint32) policy.Verdict {
		stack[0], stack[1] = uint64(service), uint64(command)
		if err := classify.CallWithStack(ctx, stack); err != nil {
			t.Fatalf("classify(%#x, %#x): %v", service, command, err)
		}
		return policy.VerdictOf(stack[0])
	}
}

func TestModuleBytes(t *testing.T) {
	got := parse(t, "[route]\n0x0001 = 'close'\nelse = 'consume'\n").Module()
	want := "\x00asm\x01\x00\x00\x00" +
		"\x01\x0a\x02\x60\x00\x00\x60\x02\x7f\x7f\x01\x7e" +
		"\x03\x03\x02\x00\x01" +
		"\x07\x20\x02\x11switchyard_abi_v1\x00\x00\x08classify\x00\x01" +
		"\x0a\x2e\x02\x02\x00\x0b" +
		"\x29\x01\x01\x7f" + // one local
		"\x20\x00\x20\x01\x72\x41\x10\x76\x04\x40\x42\x01\x0f\x0b" + // an id above 16 bits: consume
		"\x20\x01\x41\x01\x49\x04\x40\x05" + // below 1: nothing
		"\x20\x01\x41\x02\x49\x04\x40\x42\x06\x0f\x05\x0b\x0b" + // below 2: close
		"\x42\x01\x0b" +
		"\x00\x3c\x04name\x01\x1e\x02\x00\x11switchyard_abi_v1\x01\x08classify" +
		"\x02\x15\x01\x01\x02\x00\x07service\x01\x07command"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestModuleIsABIVersion1AndNothingElse(t *testing.T) {
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, parse(t, precedences).Module())
	if err != nil {
		t.Fatal(err)
	}
	exports := compiled.ExportedFunctions()
	if f := exports[abi.Marker]; f == nil || len(f.ParamTypes()) != 0 || len(f.ResultTypes()) != 0 {
		t.Errorf("%s: got %v, want () -> ()", abi.Marker, f)
	}
	if f := exports[abi.Classify]; f == nil || len(f.ParamTypes()) != 2 || len(f.ResultTypes()) != 1 || f.Name() != "classify" {
		t.Errorf("%s: got %v, want (i32, i32) -> i64, named classify", abi.Classify, f)
	}
	if n := len(exports); n != 2 {
		t.Errorf("%d exports, want 2", n)
	}
	if n := len(compiled.ImportedFunctions()) + len(compiled.ExportedMemories()); n != 0 {
		t.Errorf("%d imports and memories, want none", n)
	}
	if name := compiled.Name(); name != "" {
		t.Errorf("the module is called %q, want no name", name)
	}
	if _, err := runtime.Instantiate(ctx, parse(t, precedences).Module()); err != nil {
		t.Errorf("first instance: %v", err)
	}
	if _, err := runtime.Instantiate(ctx, parse(t, precedences).Module()); err != nil {
		t.Errorf("second instance beside it: %v", err)
	}
}

const precedences = `
[route]
CID_FILE_NOTIFY = "broadcast-all"
0x0000-0x00ff   = "consume"
0x0010-0x001f   = "close"
0xfff0-0xffff   = "unicast fields 31, else-broadcast"
0x8000          = "unicast session 0xffffffff"
[service.SID_FILE]
CID_FILE_NOTIFY = "unicast fields to_user_id, else-broadcast"
else            = "broadcast-except-sender"
[service.0xffff]
0xffff          = "handle role-set"
0x0000          = "handle online-user-info"
[service.0]
0               = "unicast sender"
`

func TestModuleSaysWhatTheTableSays(t *testing.T) {
	for _, src := range []string{precedences, "[route]\nelse='close'", "[route]\n0-0xffff='close'\n[service.1]\nelse='consume'"} {
		table := parse(t, src)
		agree(t, table, []uint32{0, 1, 5, 6, 0x0301, 0x8000, 0xffff})
	}
}

// agree compares table and module for every command of the services, and for ids that no
// PDU can have.
func agree(t *testing.T, table *Table, services []uint32) {
	t.Helper()
	classify := load(t, table.Module())
	for _, service := range services {
		for command := range uint32(1 << 16) {
			got, want := classify(service, command), table.Verdict(pdu.ServiceID(service), pdu.CommandID(command))
			if got != want {
				t.Fatalf("classify(%#x, %#x): got %v, want %v", service, command, got, want)
			}
		}
		for _, beyond := range []uint32{0x10000, 0x10005, 0x10508, 0x7fffffff, 0x80000000, 0xffffffff} {
			if got := classify(service, beyond); got != table.otherwise.verdict {
				t.Fatalf("classify(%#x, %#x): got %v, want %v", service, beyond, got, table.otherwise.verdict)
			}
			if got := classify(beyond, 0x0508); got != table.otherwise.verdict {
				t.Fatalf("classify(%#x, 0x0508): got %v, want %v", beyond, got, table.otherwise.verdict)
			}
		}
	}
}

func TestEqualTablesGiveEqualBytes(t *testing.T) {
	first, err := Compile("a/routes.toml", []byte(precedences))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Compile("elsewhere.toml", []byte(precedences))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatal("the same table gave different modules")
		}
	}
}

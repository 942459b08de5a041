package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestGates(t *testing.T) {
	limits := DefaultLimits()
	limits.ModuleBytes = 1 << 16
	e := newEngine(t, limits, nil)
	sound := guest(t, "sound")
	for _, c := range []struct {
		name   string
		module []byte // instead of testdata/name.wasm
		config string
		gate   Gate
		say    []string // texts in the error
	}{
		{name: "too_large", module: make([]byte, 1<<16+1), gate: GateSize,
			say: []string{"65537 bytes", "at most 65536", "-ldflags='-s -w'", "wasm.module_size"}},
		{name: "empty", module: []byte{}, gate: GateMagic, say: []string{"empty"}},
		{name: "text", module: []byte(" (module)"), gate: GateMagic, say: []string{"text format", "wat2wasm"}},
		{name: "elf", module: []byte("\x7fELF and so on"), gate: GateMagic, say: []string{"not WebAssembly", `begins with \0asm`}},
		{name: "component", gate: GateMagic, say: []string{"component", "wasip1"}},
		{name: "newer", module: []byte("\x00asm\x02\x00\x00\x00"), gate: GateMagic, say: []string{"version 2"}},
		{name: "two_bytes", module: []byte("\x00a"), gate: GateMagic, say: []string{"truncated", "still being written"}},
		{name: "preamble_cut", module: []byte("\x00asm\x01"), gate: GateMagic, say: []string{"truncated"}},
		{name: "half_written", module: sound[:len(sound)/2], gate: GateMagic, say: []string{"truncated: section", "still being written"}},
		{name: "bad_code", module: []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\xff\x0b"),
			gate: GateMetering, say: []string{"WebAssembly 2.0"}},
		{name: "ill_typed", module: []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b"),
			gate: GateCompile, say: []string{"invalid function"}},
		{name: "table_bomb", gate: GateMetering, say: []string{"table"}},
		{name: "memory_bomb", gate: GateCompile, say: []string{"1024 pages", "256 pages", "raise wasm.memory"}},
		{name: "unknown_import", gate: GateImports, say: []string{`function "env"."now"`, `memory "env"."memory"`,
			`table "env"."table"`, `global "env"."base"`, `"path_open"`, "switchyard_v1.log"}},
		{name: "bad_log_signature", gate: GateImports, say: []string{"switchyard_v1.log is (i32, i32) -> ()", "wants (i32, i32, i32) -> ()"}},
		{name: "missing_export", gate: GateExports, say: []string{"no function classify", "(i32, i32) -> i64"}},
		{name: "missing_marker", gate: GateExports, say: []string{"no function switchyard_abi_v1"}},
		{name: "future_version", gate: GateExports, say: []string{`"switchyard_abi_v2"`, "only switchyard_abi_v1"}},
		{name: "bad_signature", gate: GateExports, say: []string{"classify is (i32, i32, i32) -> i32", "wants (i32, i32) -> i64",
			"inspect is i64 -> f64", "wants (i64, i64, i64, i64) -> i64"}},
		{name: "command", gate: GateExports, say: []string{"_start", "-buildmode=c-shared"}},
		{name: "no_buffer", gate: GateExports, say: []string{"inspect_body but no buffer", "i32 -> i32"}},
		{name: "no_memory", gate: GateExports, say: []string{"buffer but no memory"}},
		{name: "slow_start", gate: GateInstantiate, say: []string{"start", "within its fuel for loading"}},
		{name: "trap_start", gate: GateInstantiate, say: []string{"unreachable", "start"}},
		{name: "slow_initialize", gate: GateInstantiate, say: []string{"_initialize", "fuel"}},
		{name: "configure_refuses", gate: GateConfigure, say: []string{"with -7", "configuration"}},
		{name: "configure_traps", gate: GateConfigure, say: []string{"configure: policy fault (trap)", "correct the guest's configure"}},
		{name: "sound", config: `["no object"]`, gate: GateConfigure, say: []string{"with 1"}},
		{name: "sound", config: "{" + strings.Repeat(" ", 1<<16), gate: GateConfigure, say: []string{"no room for 65537 bytes"}},
		{name: "trap", config: `{"a": 1}`, gate: GateConfigure, say: []string{"no configure", "remove the policy's configuration"}},
		{name: "bad_pointer", gate: GateConfigure, say: []string{"buffer(65536) returned 0xfffffff0", "return from buffer the address"}},
		{name: "reserved_bits", gate: GateDryRun, say: []string{"reserved bits", "SID_OTHER", "CID_OTHER_HEARTBEAT"}},
		{name: "rate_limit_bad", gate: GateDryRun, say: []string{"rate_limit(1, 0): rate 0x0000000000000032 has period 0; 1 is a second and 2 a minute", "docs/abi.md"}},
		{name: "rate_limit_trap", gate: GateDryRun, say: []string{"rate_limit(1, 0): policy fault (trap)"}},
		{name: "rate_limit_unknown", gate: GateDryRun, say: []string{"CID_OTHER_HEARTBEAT", "names rate limit 2, and rate_limit states 1"}},
		{name: "rate_limit_drop", gate: GateDryRun, say: []string{"names rate limit 1, but drop sends nothing that could be limited"}},
		{name: "lacks_inspect", gate: GateDryRun, say: []string{"asks for inspect, which the guest does not export", "leave that flag out"}},
		{name: "slow_classify", gate: GateDryRun, say: []string{"CID_OTHER_HEARTBEAT", "280000 units of fuel", "wasm.fuel"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			module := c.module
			if module == nil {
				module = guest(t, c.name)
			}
			p, err := e.Load(context.Background(), "tenant-a", module, []byte(c.config))
			if err == nil {
				p.Close()
				t.Fatalf("loaded, want it refused at the %s gate", c.gate)
			}
			wantGate(t, err, c.gate, c.say...)
		})
	}
}

// wantGate fails unless err is of that gate and contains all the texts.
func wantGate(t *testing.T, err error, gate Gate, say ...string) {
	t.Helper()
	var refused *GateError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v (%T), want a *GateError", err, err)
	}
	if refused.Gate != gate || refused.Policy != "tenant-a" || refused.Remedy == "" {
		t.Fatalf("got gate %q, policy %q, remedy %q, want gate %q: %v", refused.Gate, refused.Policy, refused.Remedy, gate, err)
	}
	if strings.Contains(err.Error(), "\n\t") != strings.HasSuffix(err.Error(), "\n"+refused.Remedy) {
		t.Errorf("got %q, want what to do on a line of its own if and only if it follows a trace", err)
	}
	for _, s := range append(say, "tenant-a", string(gate), refused.Remedy) {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("got %q, want it to say %q", err, s)
		}
	}
}

func TestPanicOfWazeroIsAnError(t *testing.T) {
	l := &loader{policy: &Policy{}}
	err := l.pass(context.Background(), func(*loader, context.Context) error { panic("mmap: permission denied") })
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v, want the panic as an error", err)
	}
}

// TestTruncated cuts a module at every length: none may load or panic.
func TestTruncated(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	module := guest(t, "trap") // its last section, with names, may be cut off at its start
	whole := len(module)
	for n := range whole {
		p, err := e.Load(context.Background(), "tenant-a", module[:n], nil)
		if err == nil {
			p.Close()
			if n < whole-100 {
				t.Errorf("the first %d of %d bytes loaded", n, whole)
			}
		}
	}
}

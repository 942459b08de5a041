package wasm

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
)

// The kinds of engine.
const (
	Compiler    = "compiler"
	Interpreter = "interpreter"
)

// answer is a module that exports "f", which returns 42.
var answer = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + // type: () -> i32
	"\x03\x02\x01\x00" + // one function of it
	"\x07\x05\x01\x01f\x00\x00" + // exported
	"\x0a\x06\x01\x04\x00\x41\x2a\x0b") // i32.const 42

// probe finds out which engine wazero selects on this machine. Where memory cannot be made
// executable, wazero silently falls back to its interpreter. So probe lets it select one,
// runs a function, and checks what ran it.
func probe() (kind, why string) {
	ran, err := runAnswer(wazero.NewRuntimeConfig())
	if err == nil && strings.HasSuffix(ran, "/wazevo") {
		return Compiler, fmt.Sprintf("%s/%s makes machine code and may run it", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := runAnswer(wazero.NewRuntimeConfigCompiler()); err != nil {
		return Interpreter, fmt.Sprintf("no executable memory on %s/%s: %v "+
			"(under systemd, MemoryDenyWriteExecute=no allows it)", runtime.GOOS, runtime.GOARCH, err)
	}
	return Interpreter, fmt.Sprintf("wazero has no compiler for this CPU on %s/%s", runtime.GOOS, runtime.GOARCH)
}

// The interpreter is many times slower, and everything else is the same: gates, metering and limits of
// fuel do not depend on the kind of engine, but for the gate that compares both. So a server that may
// not make machine code still serves, and says so when it starts.

// runtimeMu is held while a runtime is created, because wazero 1.12 then stores its own
// version in a variable without a lock.
var runtimeMu sync.Mutex

// newRuntime returns a runtime, see runtimeMu.
func newRuntime(config wazero.RuntimeConfig) wazero.Runtime {
	runtimeMu.Lock()
	defer runtimeMu.Unlock()
	return wazero.NewRuntimeWithConfig(context.Background(), config)
}

// runAnswer runs answer and returns the package of the engine that ran it.
func runAnswer(config wazero.RuntimeConfig) (engine string, err error) {
	defer recovered(&err)
	ctx := context.Background()
	rt := newRuntime(config)
	defer rt.Close(ctx)
	m, err := rt.Instantiate(ctx, answer)
	if err != nil {
		return "", err
	}
	f := m.ExportedFunction("f")
	got, err := f.Call(ctx)
	if err != nil {
		return "", err
	}
	if len(got) != 1 || got[0] != 42 {
		return "", fmt.Errorf("the probe returned %v, not 42", got)
	}
	return reflect.TypeOf(f).Elem().PkgPath(), nil
}

// recovered turns a panic of wazero into an error. wazero panics, for example, if the
// system refuses executable memory.
func recovered(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("wazero panicked: %w", r)
	default:
		*err = fmt.Errorf("wazero panicked: %v", r)
	}
}

package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"switchyard/policy/abi"
	"switchyard/policy/wasm/meter"
)

const wasiModule = wasi_snapshot_preview1.ModuleName

// wasiOffered lists the functions that toolchains import by themselves. None of them gives
// access to anything: wazero's clock and scheduler are deterministic stand-ins, and there
// are no arguments, no open directories, and no environment but that of instanceConfig.
// Functions that could open something are not in the list.
var wasiOffered = []string{
	"args_get", "args_sizes_get", "environ_get", "environ_sizes_get",
	"clock_res_get", "clock_time_get", "random_get", "poll_oneoff", "sched_yield", "proc_exit",
	"fd_close", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_prestat_get", "fd_prestat_dir_name", "fd_seek", "fd_write",
}

// hostLog is the type of the one host function of the ABI.
var hostLog = signature{params: []api.ValueType{i32, i32, i32}}

// hostCall is the fuel that a call of a host function costs in addition to its loops: it
// takes 60 ns or more, far longer than an instruction.
const hostCall = 100

var (
	errFuel    = errors.New("out of fuel in a host function")
	errPointer = errors.New("handed the host an address outside its memory")
)

// Results of WASI functions.
const (
	wasiSuccess = 0
	wasiBadFile = 8
)

// offered reports whether there is a host function of that name.
func offered(module, name string) bool {
	switch module {
	case abi.HostModule:
		return name == abi.HostLog
	case wasiModule:
		return slices.Contains(wasiOffered, name)
	}
	return false
}

// hostFunctions instantiates the host modules that the guest imports from. What the guest
// logs goes to lines.
func hostFunctions(ctx context.Context, rt wazero.Runtime, m wazero.CompiledModule, lines *guestLog) error {
	from := func(module string) bool {
		return slices.ContainsFunc(m.ImportedFunctions(), func(f api.FunctionDefinition) bool {
			of, _, _ := f.Import()
			return of == module
		})
	}
	if from(abi.HostModule) {
		b := rt.NewHostModuleBuilder(abi.HostModule)
		define(b, abi.HostLog, hostLog, lines.logCall)
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	if !from(wasiModule) {
		return nil
	}
	b := rt.NewHostModuleBuilder(wasiModule)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	// These replace wazero's: there the guest decides how much work one call is, and
	// metering would not see it.
	errno := []api.ValueType{i32}
	define(b, "fd_write", signature{[]api.ValueType{i32, i32, i32, i32}, errno}, lines.fdWrite)
	define(b, "random_get", signature{[]api.ValueType{i32, i32}, errno}, randomGet)
	define(b, "poll_oneoff", signature{[]api.ValueType{i32, i32, i32, i32}, errno}, pollOneoff)
	define(b, "proc_exit", signature{params: []api.ValueType{i32}}, procExit)
	_, err := b.Instantiate(ctx)
	return err
}

func define(b wazero.HostModuleBuilder, name string, s signature, f api.GoModuleFunc) {
	b.NewFunctionBuilder().WithGoModuleFunction(f, s.params, s.results).WithName(name).Export(name)
}

// charge takes fuel from the guest, and traps the guest if it had less. Host functions run
// outside of metered code, so each charges for its own work before it does the work. A panic
// in a host function ends the call of the guest with an error, as a trap does.
func charge(guest api.Module, fuel uint64) {
	counter := guest.ExportedGlobal(meter.FuelExport).(api.MutableGlobal)
	left := int64(counter.Get()) - int64(fuel)
	counter.Set(uint64(left))
	if left < 0 {
		panic(errFuel)
	}
}

// view returns n bytes of the guest's memory, or traps the guest.
func view(guest api.Module, ptr, n uint32) []byte {
	if m := guest.Memory(); m != nil {
		if b, ok := m.Read(ptr, n); ok {
			return b
		}
	}
	panic(errPointer)
}

// randomGet fills (ptr, len) with bytes that look random and are the same each time,
// because a policy must be a pure function.
func randomGet(_ context.Context, guest api.Module, stack []uint64) {
	ptr, n := uint32(stack[0]), uint32(stack[1])
	charge(guest, hostCall+uint64(n)/8)
	x := uint64(0x9e3779b97f4a7c15)
	for b := view(guest, ptr, n); len(b) > 0; b = b[min(8, len(b)):] {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], x)
		copy(b, word[:])
	}
	stack[0] = wasiSuccess
}

// pollOneoff answers (subscriptions, events, n, nevents) at once, as if every timer had
// expired and every file were closed. A guest that sleeps does not delay the hub.
func pollOneoff(_ context.Context, guest api.Module, stack []uint64) {
	const subscriptionLen, eventLen = 48, 32
	in, out, n, nevents := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	charge(guest, hostCall+uint64(n)*2)
	if uint64(n)*subscriptionLen > 1<<32-1 {
		panic(errPointer)
	}
	subscriptions, events := view(guest, in, n*subscriptionLen), view(guest, out, n*eventLen)
	for i := range int(n) {
		s, e := subscriptions[i*subscriptionLen:], events[i*eventLen:][:eventLen]
		userdata, kind := binary.LittleEndian.Uint64(s), s[8]
		clear(e)
		binary.LittleEndian.PutUint64(e, userdata)
		if e[10] = kind; kind != 0 { // not a clock
			e[8] = wasiBadFile
		}
	}
	binary.LittleEndian.PutUint32(view(guest, nevents, 4), n)
	stack[0] = wasiSuccess
}

// procExit traps the guest. wazero's version would also close the instance, which here its
// owner does.
func procExit(_ context.Context, _ api.Module, stack []uint64) {
	panic(sys.NewExitError(uint32(stack[0])))
}

package wasm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
	"switchyard/policy/wasm/meter"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// A signature is the type of a function in the ABI.
type signature struct {
	params, results []api.ValueType
}

// exports holds the type of each export of ABI version 1. Other exports are the guest's business.
var exports = map[string]signature{
	abi.Marker:      {},
	abi.Classify:    {[]api.ValueType{i32, i32}, []api.ValueType{i64}},
	abi.Inspect:     {[]api.ValueType{i64, i64, i64, i64}, []api.ValueType{i64}},
	abi.Buffer:      {[]api.ValueType{i32}, []api.ValueType{i32}},
	abi.InspectBody: {[]api.ValueType{i32, i32, i64, i64, i64, i64}, []api.ValueType{i64}},
	abi.Configure:   {[]api.ValueType{i32, i32}, []api.ValueType{i32}},
	abi.Groups:      {nil, []api.ValueType{i64}},
	abi.RateLimit:   {[]api.ValueType{i32, i32}, []api.ValueType{i64}},
	abi.Initialize:  {},
}

func (s signature) String() string { return spell(s.params) + " -> " + spell(s.results) }

// spell writes types as the text format of WebAssembly does: one alone, several in parentheses.
func spell(types []api.ValueType) string {
	if len(types) == 1 {
		return api.ValueTypeName(types[0])
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = api.ValueTypeName(t)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// is returns nil if f has the signature, or an error that says which one it has.
func (s signature) is(f api.FunctionDefinition) error {
	if slices.Equal(f.ParamTypes(), s.params) && slices.Equal(f.ResultTypes(), s.results) {
		return nil
	}
	got := signature{f.ParamTypes(), f.ResultTypes()}
	return fmt.Errorf("is %v, ABI version 1 wants %v", got, s)
}

// checkExports refuses a guest whose exports are not those of ABI version 1. It names the first thing
// that the author has to correct, in the order in which a guest is written:
//
//	the marker   which ABI the module is for; without it the rest means nothing
//	classify     the one function that every policy has
//	types        of all exports at once
//	_start       a command instead of a reactor: the toolchain was called in another way
//	buffer       where the host can put bytes
func checkExports(m wazero.CompiledModule) error {
	functions := m.ExportedFunctions()
	if err := checkVersion(functions); err != nil {
		return err
	}
	if functions[abi.Classify] == nil {
		return refuse("export it as "+exports[abi.Classify].String(), "exports no function %s", abi.Classify)
	}
	if err := checkSignatures(functions); err != nil {
		return err
	}
	if functions["_start"] != nil && functions[abi.Initialize] == nil {
		return refuse("build a reactor (Go: -buildmode=c-shared, clang: -mexec-model=reactor)",
			"a command, which exports _start and runs once, instead of a reactor")
	}
	return checkBuffer(m)
}

// checkVersion refuses guests of another version of the ABI. A guest names its version by the
// function that it exports, because exports can be read before any of its code runs.
func checkVersion(functions map[string]api.FunctionDefinition) error {
	if functions[abi.Marker] != nil {
		return nil
	}
	var others []string
	for name := range functions {
		if strings.HasPrefix(name, abi.MarkerPrefix) {
			others = append(others, fmt.Sprintf("%q", name))
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return refuse("build it against ABI version 1, or run a Switchyard that knows its version",
			"speaks %s, and this Switchyard only %s", strings.Join(others, " and "), abi.Marker)
	}
	return refuse("export an empty function of that name: it says which ABI the guest was written for",
		"exports no function %s", abi.Marker)
}

// checkSignatures compares all exports that the guest has, and reports all that are wrong.
func checkSignatures(functions map[string]api.FunctionDefinition) error {
	var wrong []string
	for name, want := range exports {
		if f := functions[name]; f != nil {
			if err := want.is(f); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s %v", name, err))
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return refuse("correct the types of the exported functions", "%s", strings.Join(wrong, "; "))
}

// checkBuffer refuses a guest that takes bytes but exports no buffer or memory for them.
func checkBuffer(m wazero.CompiledModule) error {
	functions := m.ExportedFunctions()
	memory := m.ExportedMemories()[abi.Memory] != nil
	for _, name := range []string{abi.InspectBody, abi.Configure} {
		if functions[name] != nil && functions[abi.Buffer] == nil {
			return refuse("export it as "+exports[abi.Buffer].String(), "exports %s but no %s to put the bytes in", name, abi.Buffer)
		}
	}
	for _, name := range []string{abi.Buffer, abi.Groups} {
		if functions[name] != nil && !memory {
			return refuse("export the linear memory under that name", "exports %s but no %s", name, abi.Memory)
		}
	}
	return nil
}

// checkImports refuses a guest whose imports the host does not have, and lists them all.
func checkImports(m wazero.CompiledModule, list []meter.Import) error {
	var unknown []string
	for _, i := range list {
		if i.Kind != binary.KindFunction || !offered(i.Module, i.Name) {
			unknown = append(unknown, i.String())
		}
	}
	if len(unknown) > 0 {
		return refuse("policies have no files, sockets or other hosts; import at most "+
			abi.HostModule+"."+abi.HostLog+" and what the toolchain needs of "+wasiModule,
			"imports what does not exist here: %s", strings.Join(unknown, ", "))
	}
	return checkLog(m)
}

// checkLog refuses a log import of another type, and one of a guest without a memory from which
// the host could read the text.
func checkLog(m wazero.CompiledModule) error {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if module != abi.HostModule {
			continue
		}
		if err := hostLog.is(f); err != nil {
			return refuse("correct the type of the import", "import %s.%s %w", module, name, err)
		}
		if m.ExportedMemories()[abi.Memory] == nil {
			return refuse("export the linear memory under that name", "imports %s.%s but exports no %s", module, name, abi.Memory)
		}
	}
	return nil
}

package wasm

import (
	"slices"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// Custom sections have no meaning for running a module, so no content of theirs is a reason to
// refuse it.
func TestOddCustomSections(t *testing.T) {
	section := func(content ...string) []byte {
		return binary.AppendSection(nil, binary.SectionCustom, []byte(strings.Join(content, "")))
	}
	const names = "\x04name"
	sound := guest(t, "large_maximum") // it inspects nothing, so that little is to be compared
	first := len(binary.Preamble)
	for name, odd := range map[string][]byte{
		"no name":              section(),
		"empty name":           section("\x00"),
		"name too long":        section("\x09a"),
		"endless length":       section("\xff\xff\xff\xff\xff\xff"),
		"name is not UTF-8":    section("\x02\xff\xfe"),
		"only the name":        section(names),
		"names truncated":      section(names, "\x01\x05\x01"),
		"names of no UTF-8":    section(names, "\x01\x05\x01\x00\x02\xff\xfe"),
		"names beyond all":     section(names, "\x01\x05\xff\xff\xff\xff\x0f"),
		"an empty name":        section(names, "\x01\x03\x01\x00\x00"),
		"names of no function": section(names, "\x01\x06\x01\xff\xff\x03\x01a"),
		"parts out of order":   section(names, "\x02\x01\x00\x01\x01\x00\x00\x01\x00"),
		"an unknown part":      section(names, "\x63\x02ab"),
		"twice":                slices.Concat(section(names, "\x01\x04\x01\x00\x01a"), section(names, "\x01\x04\x01\x00\x01b")),
		"linking":              section("\x07linking", "\xff\xff"),
		"many":                 slices.Concat(slices.Repeat([][]byte{section("\x01a", "b")}, 100)...),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, DefaultLimits(), nil)
			loadModule(t, e, "tenant-a", slices.Concat(sound, odd), nil)
			loadModule(t, e, "tenant-a", slices.Concat(sound[:first], odd, sound[first:]), nil)
		})
	}
}

// A module may declare a larger maximum of memory than it gets. It grows up to the limit.
func TestLargeMaximumOfMemory(t *testing.T) {
	load(t, newEngine(t, DefaultLimits(), nil), "large_maximum")
}

// The remedy fits what is wrong.
func TestRemedies(t *testing.T) {
	sound := guest(t, "sound")
	with := func(id byte, content string) []byte {
		return binary.AppendSection(slices.Clone([]byte(binary.Preamble)), id, []byte(content))
	}
	many := "\xff\xff\x03" + strings.Repeat("\x60\x00\x00", 65535)
	for name, c := range map[string]struct {
		module []byte
		gate   Gate
		remedy string
	}{
		"shared memory":   {with(binary.SectionMemory, "\x01\x03\x01\x02"), GateMetering, "without threads"},
		"64-bit memory":   {with(binary.SectionMemory, "\x01\x04\x01"), GateMetering, "without threads"},
		"a tag section":   {with(13, "\x01\x00\x00"), GateMetering, "without threads"},
		"two memories":    {with(binary.SectionMemory, "\x02\x00\x01\x00\x01"), GateMetering, "without threads"},
		"a struct type":   {with(binary.SectionType, "\x01\x5f\x00\x00"), GateMetering, "without threads"},
		"a typed table":   {with(binary.SectionTable, "\x01\x64\x00\x00\x01"), GateMetering, "without threads"},
		"a typed global":  {with(binary.SectionGlobal, "\x01\x63\x70\x00\xd0\x70\x0b"), GateMetering, "without threads"},
		"a reserved name": {append(with(binary.SectionGlobal, "\x01\x7e\x01\x42\x00\x0b"), binary.AppendSection(nil, binary.SectionExport, []byte("\x01\x0fswitchyard_fuel\x03\x00"))...), GateMetering, "another name"},
		"damaged":         {with(binary.SectionType, "\x01\x60\x01"), GateMetering, "damaged"},
		"out of order":    {slices.Concat(sound, binary.AppendSection(nil, binary.SectionType, []byte{0})), GateMetering, "damaged"},
		"too many pages":  {with(binary.SectionMemory, "\x01\x00\x81\x80\x04"), GateMetering, "declare less"},
		"too many types":  {with(binary.SectionType, many), GateMetering, "declare less"},
		"too much memory": {guest(t, "memory_bomb"), GateCompile, "begin with less memory"},
	} {
		_, err := newEngine(t, DefaultLimits(), nil).Load(t.Context(), "tenant-a", c.module, nil)
		wantGate(t, err, c.gate)
		if err != nil && !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s: got %v, want the remedy %q", name, err, c.remedy)
		}
	}
}

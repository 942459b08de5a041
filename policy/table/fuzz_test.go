package table

import (
	"errors"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/tomlpos"
)

// Every text is either a table, whose module loads and agrees with it, or is refused with
// faults that have a line and a remedy.
func FuzzCompile(f *testing.F) {
	f.Add(precedences, uint32(5))
	f.Add(senderRules, uint32(0x0301))
	f.Add("1 = [0b\n1]\n", uint32(0)) // the decoder's message has two lines
	f.Add(strings.Replace(limitedTable, ", not-sender", "", 1), uint32(0x0725))
	f.Add("[route]\n1='broadcast-all, limit \\u001b0/s per peer'\n2=\"broadcast-all, limit \\u001b0/\\u0007s per \\u0000\"", uint32(1))
	for _, test := range faultTests {
		if len(test.src) < 4<<10 { // large ones take the fuzzer minutes to shrink
			f.Add(test.src, uint32(0))
		}
	}
	f.Fuzz(func(t *testing.T, src string, id uint32) {
		table, err := Parse("fuzz", []byte(src))
		if err != nil {
			checkFaults(t, err, src)
			return
		}
		classify := load(t, table.Module())
		ids := []uint32{0, 5, 0x0301, 0x0508, 0xffff, id & 0xffff, id >> 16}
		for c := range table.commands {
			ids = append(ids, uint32(c))
		}
		for _, r := range table.ranges {
			ids = append(ids, uint32(r.lo), uint32(r.hi), uint32(r.lo-1), uint32(r.hi+1))
		}
		for p := range table.pairs {
			ids = append(ids, uint32(p.service), uint32(p.command))
		}
		for _, service := range ids[:min(len(ids), 20)] {
			for _, command := range ids {
				service, command := pdu.ServiceID(service), pdu.CommandID(command)
				got, want := classify(uint32(service), uint32(command)), table.Verdict(service, command)
				if got != want {
					t.Fatalf("classify(%#x, %#x): got %v, want %v", uint16(service), uint16(command), got, want)
				}
				groups := make([]policy.Group, len(table.groups))
				for i := range groups {
					groups[i] = policy.ElsewhereGroup
				}
				if _, err := policy.GuestVerdict(got.GuestNumbers(), groups); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func checkFaults(t *testing.T, err error, src string) {
	var faults tomlpos.Errors
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("got %T, want tomlpos.Errors", err)
	}
	end := 1
	for _, c := range src {
		if c == '\n' {
			end++
		}
	}
	last := 0
	for _, fault := range faults {
		if fault.Line < max(1, last) || fault.Line > end || fault.What == "" || fault.Remedy == "" || strings.ContainsAny(fault.Error(), "\n\r\x1b") {
			t.Fatalf("fault without place or remedy, or out of order: %+v", fault)
		}
		last = fault.Line
	}
}

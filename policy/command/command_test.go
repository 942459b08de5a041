package command

import (
	"strings"
	"testing"

	"switchyard/pdu"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		word string
		want Range
		says string // the problems, if there are any
	}{
		{"CID_MSG_DATA", Range{pdu.CID_MSG_DATA, pdu.CID_MSG_DATA}, ""},
		{"0x0301", Range{0x0301, 0x0301}, ""},
		{"769", Range{769, 769}, ""},
		{"0", Range{0, 0}, ""},
		{"0xffff", Range{0xffff, 0xffff}, ""},
		{"0x0720-0x072f", Range{0x0720, 0x072f}, ""},
		{"CID_MSG_DATA-0x03ff", Range{pdu.CID_MSG_DATA, 0x03ff}, ""},
		{"0-65535", Range{0, 0xffff}, ""},
		{"", Range{}, `unknown command ""; write its name as in docs/protocol.md, or its id, such as 0x0301`},
		{"CID_MSG_DTA", Range{}, `unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`},
		{"CID_VERY_OWN_THING", Range{}, `unknown command "CID_VERY_OWN_THING"; is it a custom one, which [commands] of the configuration names? Otherwise write its name as in docs/protocol.md, or its id, such as 0x0301`},
		{"CID-MSG-DATA", Range{}, `unknown command "CID-MSG-DATA"; did you mean CID_MSG_DATA?`},
		{" CID_MSG_DATA", Range{}, `unknown command " CID_MSG_DATA"; did you mean CID_MSG_DATA?`},
		{"0301", Range{}, `"0301" is not a command id; is it 0x0301 or 301?`},
		{"65536", Range{}, `"65536" is not a command id; ids go from 0x0000 to 0xffff`},
		{"0x10000000000000000", Range{}, `"0x10000000000000000" is not a command id; ids go from 0x0000 to 0xffff`},
		{"0x", Range{}, `"0x" is not a command id; write it as 0x0301 or as 769`},
		{"7-7", Range{}, `the range 7-7 is one command; write 7`},
		{"9-8", Range{}, `the range 9-8 runs backwards; write 8-9`},
		{"1-2-3", Range{}, `"2-3" is not a command id; write it as 0x0301 or as 769`},
		{"CID_MSG_DATA-", Range{}, `unknown command ""; write its name as in docs/protocol.md, or its id, such as 0x0301`},
		{"65536-CID_MSG_DTA", Range{}, `"65536" is not a command id; ids go from 0x0000 to 0xffff
unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`},
	} {
		got, problems := Parse(tt.word)
		if says := spell(problems); says != tt.says {
			t.Errorf("Parse(%q) says\n%s\nwant\n%s", tt.word, says, tt.says)
		} else if says == "" && got != tt.want {
			t.Errorf("Parse(%q) = %v, want %v", tt.word, got, tt.want)
		}
	}
}

func spell(problems []*Problem) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.What + "; " + p.Remedy
	}
	return strings.Join(lines, "\n")
}

func TestParseKnowsEveryCommand(t *testing.T) {
	for _, c := range pdu.Commands {
		if r, problems := Parse(c.Name); problems != nil || r != (Range{c.ID, c.ID}) {
			t.Errorf("Parse(%q) = %v, %q", c.Name, r, spell(problems))
		}
	}
}

// Every word is a range in ascending order or has problems with remedies.
func FuzzParse(f *testing.F) {
	for _, word := range []string{"CID_MSG_DATA", "0x0720-0x072f", "769", "9-8", "-", "0x", "\xff-\x00"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		r, problems := Parse(word)
		if problems == nil && r.Lo > r.Hi {
			t.Errorf("Parse(%q) = %v", word, r)
		}
		for _, p := range problems {
			if p.What == "" || p.Remedy == "" {
				t.Errorf("Parse(%q) says %+v", word, p)
			}
		}
	})
}

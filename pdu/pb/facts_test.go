package pb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"switchyard/pdu"
	_ "switchyard/pdu/pb"
)

// testdata/messages.tsv is every field of every message, in the order of their
// numbers; a message without fields has one line of dashes.
func TestMessagesAreTheListed(t *testing.T) {
	var got []string
	for f := range files {
		for i := range f.Messages().Len() {
			got = append(got, fields(f.Messages().Get(i))...)
		}
	}
	compare(t, "testdata/messages.tsv", got)
}

// testdata/enums.tsv is every value of every enumeration, but for the commands,
// which package pdu lists.
func TestEnumsAreTheListed(t *testing.T) {
	var got []string
	for e := range enums {
		if isCommands(e) {
			continue
		}
		for i := range e.Values().Len() {
			v := e.Values().Get(i)
			got = append(got, fmt.Sprintf("%s\t%s\t%d", e.FullName(), v.Name(), v.Number()))
		}
	}
	compare(t, "testdata/enums.tsv", got)
}

func TestCommandsAreThoseOfPackagePDU(t *testing.T) {
	var got, want []string
	for e := range enums {
		for i := range e.Values().Len() {
			if v := e.Values().Get(i); isCommands(e) {
				got = append(got, fmt.Sprintf("%s 0x%04x", v.Name(), v.Number()))
			}
		}
	}
	for _, c := range pdu.Commands {
		want = append(want, fmt.Sprintf("%s 0x%04x", c.Name, uint16(c.ID)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("commands:\ngot  %q\nwant %q", got, want)
	}
}

func TestServicesAreThoseOfPackagePDU(t *testing.T) {
	for e := range enums {
		if e.Name() != "ServiceID" {
			continue
		}
		for i := range e.Values().Len() {
			v := e.Values().Get(i)
			if got, want := pdu.ServiceID(v.Number()).String(), string(v.Name()); got != want {
				t.Errorf("service %d: got %s, want %s", v.Number(), got, want)
			}
		}
	}
}

func TestEveryCommandHasItsMessage(t *testing.T) {
	for _, c := range pdu.Commands {
		if _, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(c.Message)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// files yields the descriptors of this package's .proto files.
func files(yield func(protoreflect.FileDescriptor) bool) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		return !strings.HasPrefix(f.Path(), "pdu/pb/") || yield(f)
	})
}

func enums(yield func(protoreflect.EnumDescriptor) bool) {
	for f := range files {
		for i := range f.Enums().Len() {
			if !yield(f.Enums().Get(i)) {
				return
			}
		}
	}
}

func isCommands(e protoreflect.EnumDescriptor) bool {
	return strings.HasSuffix(string(e.Name()), "CmdID")
}

func fields(m protoreflect.MessageDescriptor) []string {
	all := m.Fields()
	if all.Len() == 0 {
		return []string{string(m.FullName()) + "\t-\t-\t-\t-"}
	}
	var lines []string
	for i := range all.Len() {
		f := all.Get(i)
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%s\t%s",
			m.FullName(), f.Number(), f.Name(), typeName(f), f.Cardinality()))
	}
	return lines
}

func typeName(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().FullName())
	case f.Enum() != nil:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

// compare holds lines against those of a file below its headings, in any order.
func compare(t *testing.T, file string, got []string) {
	t.Helper()
	want := strings.Split(strings.TrimSpace(string(read(t, file))), "\n")[1:]
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: missing here: %s", file, line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s does not have: %s", file, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %d lines, want %d", file, len(got), len(want))
	}
}

//go:build full || race

package conformance

import "testing"

func TestReadBody(t *testing.T) {
	for text, want := range map[string]string{"": "", "08 e907": "\x08\xe9\x07", "0102*2 03*0 04*3": "\x01\x02\x01\x02\x04\x04\x04"} {
		if got, err := readBody(text); err != nil || string(got) != want {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "0x", "00*", "00*-1", "00*x"} {
		if got, err := readBody(text); err == nil {
			t.Errorf("%q: got %x, want an error", text, got)
		}
	}
}

func TestReadKnowsItsExamples(t *testing.T) {
	if _, err := Read("tabel"); err == nil || err.Error() != `there is no example "tabel"; the examples are configured, limit, single, table` {
		t.Errorf("got %v", err)
	}
}

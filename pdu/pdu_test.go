package pdu_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"switchyard/pdu"
)

// capture returns the PDUs of testdata/received.hex.
func capture(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/received.hex")
	if err != nil {
		t.Fatal(err)
	}
	var pdus [][]byte
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			t.Fatalf("testdata/received.hex: %v in %q", err, line)
		}
		pdus = append(pdus, b)
	}
	return pdus
}

// header returns a header that claims the given length.
func header(length uint32) []byte {
	return pdu.Header{Length: length, Version: 1, Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}.Append(nil)
}

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		wire string
		want pdu.Header
	}{
		{"zero", "00000000 0000 0000 0000 0000 0000 0000", pdu.Header{}},
		{"every field another", "01020304 0506 0708 090a 0b0c 0d0e 0f10",
			pdu.Header{Length: 0x01020304, Version: 0x0506, Flag: 0x0708, Service: 0x090a, Command: 0x0b0c, Seq: 0x0d0e, Reserved: 0x0f10}},
		{"all ones", "ffffffff ffff ffff ffff ffff ffff ffff",
			pdu.Header{Length: 0xffffffff, Version: 0xffff, Flag: 0xffff, Service: 0xffff, Command: 0xffff, Seq: 0xffff, Reserved: 0xffff}},
		{"heartbeat", "00000010 0001 0000 0007 0701 0000 0000",
			pdu.Header{Length: 16, Version: 1, Service: pdu.SID_OTHER, Command: pdu.CID_OTHER_HEARTBEAT}},
	} {
		wire, err := hex.DecodeString(strings.ReplaceAll(c.wire, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := pdu.ParseHeader(append(wire, 0xee)); got != c.want {
			t.Errorf("%s: parsed\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
		if got, want := c.want.Append([]byte("x")), append([]byte("x"), wire...); !bytes.Equal(got, want) {
			t.Errorf("%s: appended\ngot  %x\nwant %x", c.name, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	got := pdu.Append([]byte("x"), pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_STATUS_NOTIFY, 0x0102, []byte{0xaa, 0xbb})
	want := []byte("x\x00\x00\x00\x12\x00\x01\x00\x00\x00\x02\x02\x03\x01\x02\x00\x00\xaa\xbb")
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	got = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)
	want = []byte("\x00\x00\x00\x10\x00\x01\x00\x00\x00\x07\x07\x01\x00\x00\x00\x00")
	if !bytes.Equal(got, want) {
		t.Errorf("without a body:\ngot  %x\nwant %x", got, want)
	}
}

func TestSetLength(t *testing.T) {
	for _, n := range []int{pdu.HeaderLen, pdu.HeaderLen + 1, 0x01020304} {
		want := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 3, nil)
		got := make([]byte, n)
		copy(got, want)
		pdu.SetLength(got)
		binary.BigEndian.PutUint32(want, uint32(n))
		if !bytes.Equal(got[:pdu.HeaderLen], want) {
			t.Errorf("of %d bytes: got header %x, want %x", n, got[:pdu.HeaderLen], want)
		}
	}
}

// Parsing and appending the header of a captured PDU restores all of its bytes.
func TestHeadersOfTheCapture(t *testing.T) {
	for _, p := range capture(t) {
		h := pdu.ParseHeader(p)
		if got, want := h.Length, uint32(len(p)); got != want {
			t.Errorf("%x: length got %d, want %d", p, got, want)
		}
		if got := append(h.Append(nil), p[pdu.HeaderLen:]...); !bytes.Equal(got, p) {
			t.Errorf("got  %x\nwant %x", got, p)
		}
	}
}

func TestPartsAllocateNothing(t *testing.T) {
	stream := bytes.Join(capture(t), nil)
	out := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		pdu.ParseHeader(stream).Append(out)
		pdu.Append(out, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, stream[:9])
		if _, err := pdu.Whole(stream, pdu.DefaultMaxLen); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// someTenants returns tenants, one of which sets every field.
func someTenants(t testing.TB) []Tenant {
	field, err := ParseField("CID_MSG_DATA.msg_data")
	if err != nil {
		t.Fatal(err)
	}
	deep, err := ParseField("CID_OTHER_ONLINE_USER_INFO.user_stat_list.user_id")
	if err != nil {
		t.Fatal(err)
	}
	all, err := ParseField("0x0999.*")
	if err != nil {
		t.Fatal(err)
	}
	return []Tenant{
		{Name: "default"},
		{Name: "acme-1", Bodies: true, Commands: []pdu.CommandID{pdu.CID_MSG_DATA, 0x0999}, Redacted: []Field{field, deep, all}},
		{Name: "", Bodies: true},
	}
}

// randomRecord returns a record of any kind that a hub can cause.
func randomRecord(t testing.TB, r *rand.Rand, tenants int) Record {
	rec := Record{
		Tenant: r.IntN(tenants), Time: time.Unix(r.Int64N(1<<33), r.Int64N(1e9)), Session: r.Uint64(),
		Kind: Kind(r.IntN(4)), Known: r.IntN(4) == 0, Redacted: r.IntN(4) == 0, Master: r.IntN(4) == 0,
	}
	if r.IntN(5) == 0 {
		rec.Missed = r.Uint64N(1e6)
	}
	if rec.Kind == Grouped && r.IntN(4) > 0 {
		all := []string{"admin", "archive", "guests", "g-0123456789-0123456789-0123456789-01234"}
		rec.Membership = in(t, r.IntN(2) == 0, all[:1+r.IntN(len(all))]...)
	}
	if rec.Kind != PDU {
		return rec
	}
	rec.Verdict = policy.VerdictOf(r.Uint64() &^ (abi.SelectorMask<<abi.SelectorShift | abi.Also | 0x3f<<abi.AlsoShift)).WithLimit(r.IntN(64)) // without groups, see groups_test.go
	if r.IntN(3) == 0 {
		rec.Fault = policy.FaultKinds[r.IntN(len(policy.FaultKinds))]
	}
	binary.BigEndian.PutUint64(rec.Policy[:], r.Uint64())
	rec.PDU = pdutest.Raw(pdu.CommandID(r.IntN(1<<16)), uint16(r.IntN(1<<16)), make([]byte, r.IntN(300)))
	for i := range rec.PDU[pdu.HeaderLen:] {
		rec.PDU[pdu.HeaderLen+i] = byte(r.IntN(256))
	}
	rec.Length = len(rec.PDU)
	if r.IntN(3) == 0 {
		rec.PDU = rec.PDU[:pdu.HeaderLen+r.IntN(len(rec.PDU)-pdu.HeaderLen+1)]
	}
	return rec
}

var someTime = time.Unix(1_800_000_000, 123_456_789)

// write returns a capture of these records.
func write(t testing.TB, tenants []Tenant, records []Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, "a test")
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		if err := w.AddTenant(tenant); err != nil {
			t.Fatal(err)
		}
	}
	for i := range records {
		if err := w.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// readAll returns the records of a capture, and why reading ended.
func readAll(recording []byte) (records []Record, tenants []Tenant, err error) {
	r := NewReader(bytes.NewReader(recording))
	for {
		rec, err := r.Next()
		if err != nil {
			return records, r.Tenants(), err
		}
		c := *rec
		c.PDU = bytes.Clone(rec.PDU)
		records = append(records, c)
	}
}

// Reading returns exactly what was written.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tenants := someTenants(t)
	var want []Record
	for range 2000 {
		want = append(want, randomRecord(t, r, len(tenants)))
	}
	got, gotTenants, err := readAll(write(t, tenants, want))
	if err != io.EOF {
		t.Fatalf("reading ended with %v", err)
	}
	if !reflect.DeepEqual(gotTenants, tenants) {
		t.Errorf("tenants\n%+v, want\n%+v", gotTenants, tenants)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !got[i].Time.Equal(want[i].Time) {
			t.Fatalf("record %d is of %v, want %v", i, got[i].Time, want[i].Time)
		}
		got[i].Time = want[i].Time
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("record %d\n%+v, want\n%+v", i, got[i], want[i])
		}
	}
}

// Of a PDU that is larger than Wireshark takes, the beginning and the length are kept.
func TestLargePDU(t *testing.T) {
	p := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 1<<20))
	got, _, err := readAll(write(t, []Tenant{{Bodies: true}}, []Record{{Time: someTime, PDU: p, Length: len(p)}}))
	if err != io.EOF || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if len(got[0].PDU) != MaxKept || got[0].Length != len(p) || got[0].Whole() {
		t.Errorf("%d bytes of %d, want %d of %d", len(got[0].PDU), got[0].Length, MaxKept, len(p))
	}
}

// A capture that was cut at any byte is read up to there, and the error says where it ends.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tenants := someTenants(t)
	var records []Record
	for range 4 {
		records = append(records, randomRecord(t, r, len(tenants)))
	}
	whole := write(t, tenants, records)
	ends := map[int]bool{}
	for at := 0; at < len(whole); at += int(binary.BigEndian.Uint32(whole[at+4:])) {
		ends[at] = true
	}
	for n := range len(whole) {
		got, _, err := readAll(whole[:n])
		var format *FormatError
		switch {
		case ends[n] && n > 0:
			if err != io.EOF {
				t.Fatalf("cut between blocks, at %d: %v", n, err)
			}
		case n < 12:
			if !errors.As(err, &format) || format.Cut {
				t.Fatalf("%d bytes: %v, want that it is not a capture", n, err)
			}
		default:
			if !errors.As(err, &format) || !format.Cut || !ends[int(format.Offset)] || format.Offset > int64(n) {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		if full, _, _ := readAll(whole); len(got) > len(full) {
			t.Fatalf("cut at %d: %d records of %d", n, len(got), len(full))
		}
	}
}

// swapped converts a capture to little-endian.
func swapped(t *testing.T, recording []byte) []byte {
	t.Helper()
	out := bytes.Clone(recording)
	swap := func(b []byte) {
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	for at := 0; at < len(out); {
		length := int(binary.BigEndian.Uint32(recording[at+4:]))
		block := out[at : at+length]
		kind := binary.BigEndian.Uint32(recording[at:])
		swap(block[:4])
		swap(block[4:8])
		swap(block[length-4:])
		body, options := block[8:length-4], 0
		switch kind {
		case blockSection:
			swap(body[:4])
			swap(body[4:6])
			swap(body[6:8])
			options = 16
		case blockInterface:
			swap(body[:2])
			swap(body[4:8])
			options = 8
		case blockPacket:
			kept := int(binary.BigEndian.Uint32(recording[at+8+12:]))
			for i := 0; i < 20; i += 4 {
				swap(body[i : i+4])
			}
			options = 20 + (kept+3)&^3
		}
		for options < len(body) {
			code, n := binary.BigEndian.Uint16(body[options:]), int(binary.BigEndian.Uint16(body[options+2:]))
			swap(body[options : options+2])
			swap(body[options+2 : options+4])
			if code == packetDropped && kind == blockPacket {
				swap(body[options+4 : options+12])
			}
			options += 4 + (n+3)&^3
		}
		at += length
	}
	return out
}

// Other tools rewrite captures in the byte order of their machine.
func TestOtherByteOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tenants := someTenants(t)
	var records []Record
	for range 200 {
		records = append(records, randomRecord(t, r, len(tenants)))
	}
	recording := write(t, tenants, records)
	want, wantTenants, _ := readAll(recording)
	got, gotTenants, err := readAll(swapped(t, recording))
	if err != io.EOF || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotTenants, wantTenants) {
		t.Errorf("%d records and %v, want %d that are the same", len(got), err, len(want))
	}
	// They also concatenate captures.
	joined, _, err := readAll(append(swapped(t, recording), recording...))
	if err != io.EOF || len(joined) != 2*len(want) || joined[len(want)].Tenant != want[0].Tenant+len(tenants) {
		t.Errorf("%d records and %v, want twice %d", len(joined), err, len(want))
	}
}

// Every kind of damage has an error that says what is wrong and where.
func TestDamage(t *testing.T) {
	p := pdutest.Heartbeat()
	sound := write(t, []Tenant{{Name: "default"}}, []Record{{Time: someTime, PDU: p, Length: len(p)}})
	iface := int(binary.BigEndian.Uint32(sound[4:]))
	packet := iface + int(binary.BigEndian.Uint32(sound[iface+4:]))
	set := func(at int, b ...byte) func([]byte) {
		return func(r []byte) { copy(r[at:], b) }
	}
	for _, c := range []struct {
		name   string
		damage func([]byte)
		offset int
		want   string
	}{
		{"another file", set(0, '#', '!', '/', 'b'), 0, "it begins with 0x23212f62, and not as pcapng does"},
		{"an old capture", set(0, 0xd4, 0xc3, 0xb2, 0xa1), 0, "'switchyard capture'"},
		{"byte order", set(8, 1, 2, 3, 4), 0, "byte order is marked by 01020304"},
		{"version", set(12, 0, 9), 0, "version 9"},
		{"length of nothing", set(iface+4, 0, 0, 0, 8), iface, "a block of 8 bytes"},
		{"odd length", set(iface+4, 0, 0, 0, 13), iface, "a block of 13 bytes"},
		{"absurd length", set(packet+4, 0xff, 0xff, 0xff, 0xfc), packet, "a block of 4294967292 bytes"},
		{"two lengths", set(packet-4, 0, 0, 1, 0), iface, "256 at its end"},
		{"link type", set(iface+8, 0, 1), iface, "link type 1"},
		{"option too long", set(iface+18, 0xff, 0xff), iface, "options do not end"},
		{"resolution", set(iface+bytes.Index(sound[iface:packet], []byte{0, interfaceResolution, 0, 1})+4, 0xff), iface, "too fine"},
		{"interface", set(packet+8, 0, 0, 0, 1), packet, "interface 1, where the section has 1"},
		{"time", set(packet+12, 0xff), packet, "seconds after 1970"},
		{"kept beyond the block", set(packet+20, 0, 0, 0xff, 0xff), packet, "in a block with room for"},
		{"more kept than there was", set(packet+24, 0, 0, 0, 1), packet, "a packet of 1 bytes"},
		{"another dissector", set(packet+32, 'x'), packet, "not a record of Switchyard's"},
		{"version of the record", set(packet+28+20, 9), packet, "a record of version 9"},
		{"kind", set(packet+28+21, 9), packet, "unknown kind 9"},
		{"fault", set(packet+28+23, 99), packet, "unknown fault 99"},
		{"a PDU's length", set(packet+28+52, 0, 1, 0, 0), packet, "whose header says 65536"},
		{"bytes behind a joining", set(packet+28+21, 1), packet, "is of no PDU"},
	} {
		damaged := bytes.Clone(sound)
		c.damage(damaged)
		_, _, err := readAll(damaged)
		var format *FormatError
		if !errors.As(err, &format) || format.Cut || format.Offset != int64(c.offset) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q at byte %d", c.name, err, c.want, c.offset)
		}
	}
}

func TestFilterOfOthers(t *testing.T) {
	for filter, want := range map[string]string{
		"tcp port 80":                 "none of Switchyard's",
		"bodies; commands CID_MSG":    `unknown command "CID_MSG"`,
		"bodies; redacted CID_LOGIN":  "names no field",
		"headers; everything":         "unknown part",
		"headers; redacted 0x0999.ab": "no message is known for the body of",
	} {
		if err := new(Tenant).parseFilter(filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filter, err, want)
		}
	}
}

// A copy ends after a whole block, wherever the original ends.
func TestCopy(t *testing.T) {
	p := pdutest.Heartbeat()
	whole := write(t, []Tenant{{Name: "default"}}, []Record{{Time: someTime, PDU: p, Length: len(p)}, {Time: someTime, PDU: p, Length: len(p)}})
	var b bytes.Buffer
	if err := NewReader(bytes.NewReader(whole)).Copy(&b); err != nil || !bytes.Equal(b.Bytes(), whole) {
		t.Errorf("%d bytes and %v, want %d", b.Len(), err, len(whole))
	}
	b.Reset()
	err := NewReader(bytes.NewReader(whole[:len(whole)-1])).Copy(&b)
	var format *FormatError
	if !errors.As(err, &format) || !format.Cut {
		t.Errorf("%v, want that it was cut", err)
	}
	if records, _, err := readAll(b.Bytes()); err != io.EOF || len(records) != 1 {
		t.Errorf("the copy has %d records and ends with %v, want 1", len(records), err)
	}
}

// Reading arbitrary bytes ends, in bounded memory and without a panic.
func FuzzReader(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	tenants := someTenants(f)
	var records []Record
	for range 5 {
		records = append(records, randomRecord(f, r, len(tenants)))
	}
	recording := write(f, tenants, records)
	f.Add(recording)
	f.Add(recording[:len(recording)-5])
	f.Add([]byte("\n\r\r\n"))
	f.Fuzz(func(t *testing.T, recording []byte) {
		records, tenants, err := readAll(recording)
		var format *FormatError
		if err != io.EOF && !errors.As(err, &format) {
			t.Fatalf("%v", err)
		}
		for i := range records {
			if records[i].Tenant >= len(tenants) || records[i].check() != nil {
				t.Fatalf("record %d: %+v", i, records[i])
			}
		}
		if len(tenants) == 0 {
			return
		}
		again, _, err := readAll(write(t, tenants, records))
		if err != io.EOF || len(again) != len(records) {
			t.Fatalf("written again: %d records of %d, %v", len(again), len(records), err)
		}
	})
}

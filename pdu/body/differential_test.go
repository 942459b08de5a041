package body

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"switchyard/pdu/pb"
)

// google.golang.org/protobuf agrees with the readers on every body, except those for
// which closed reports different rules, after closed has removed the values that are
// not in a closed enumeration.
func FuzzReaders(f *testing.F) {
	for _, m := range messages {
		for _, extra := range framings {
			f.Add(unhex(f, m.good+extra.fields))
		}
		f.Add(unhex(f, m.good+groups(99)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { compare(t, slices.Clip(b)) })
}

func TestReadersAgreeWithGoogle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		compare(t, randomBody(r))
	}
}

func compare(t *testing.T, b []byte) {
	t.Helper()
	before := bytes.Clone(b)

	master, err := ReadRoleSet(b)
	var role pb.IMRoleSet
	if agree(t, b, schema{}, &role, err) {
		same(t, b, master, role.GetMaster())
	}

	update, err := ReadUserStatusUpdate(b, nil)
	var status pb.IMUserStatusUpdate
	if agree(t, b, schema{enums: map[protowire.Number]enum{3: validClient}}, &status, err) {
		same(t, b, update, ServerUserStat{status.GetUserId(), Status(status.GetUserStatus()), ClientType(status.GetClientType())})
	}

	info, err := ReadOnlineUserInfo(b, nil)
	var online pb.IMOnlineUserInfo
	if agree(t, b, schema{entry: &schema{enums: map[protowire.Number]enum{2: validStatus, 3: validClient}}}, &online, err) {
		got := slices.Collect(info.All())
		same(t, b, len(got), info.Len)
		same(t, b, len(got), len(online.GetUserStatList()))
		for i, e := range online.GetUserStatList() {
			same(t, b, got[i], ServerUserStat{e.GetUserId(), Status(e.GetStatus()), ClientType(e.GetClientType())})
		}
	}

	request, err := ReadUsersStatusRequest(b)
	var users pb.IMUsersStatReq
	if agree(t, b, schema{list: 2}, &users, err) {
		same(t, b, request.User, users.GetUserId())
		same(t, b, string(request.AttachData), string(users.GetAttachData()))
		ids := slices.Collect(request.Users())
		same(t, b, slices.Equal(ids, users.GetUserIdList()), true)
		same(t, b, len(response(nil, request)), request.ResponseLen)
		if values, err := ReadValues(b, 1<<2); err != nil || !slices.Equal(slices.Collect(values.All()), ids) {
			t.Errorf("%x: the same field read by number: got %v, %v, want %v", b, slices.Collect(values.All()), err, ids)
		}
	}

	if !bytes.Equal(b, before) {
		t.Errorf("%x: was changed to %x", before, b)
	}
}

// agree reports whether both accept b. It fails the test if only one does.
func agree(t *testing.T, b []byte, s schema, m proto.Message, err error) bool {
	t.Helper()
	b, disputed := s.closed(b, 0)
	if disputed {
		return false
	}
	googles := proto.Unmarshal(b, m)
	if (err == nil) != (googles == nil) {
		t.Errorf("%T %x: got %v, google's %v", m, b, err, googles)
	}
	return err == nil && googles == nil
}

func same[T comparable](t *testing.T, b []byte, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%x: got %v, google's %v", b, got, want)
	}
}

// A schema describes a message for closed.
type schema struct {
	enums map[protowire.Number]enum
	entry *schema          // of the messages in field 1
	list  protowire.Number // of a packed list of varints
}

type enum func(uint32) bool

func validClient(v uint32) bool { return ClientType(v).Known() }
func validStatus(v uint32) bool { return Status(v).valid() }

// closed returns b without the values that are not in a closed enumeration, and
// whether the two libraries' rules for b differ: the original cuts varints of 10 bytes
// to 64 bits and tags to 32, accepts field number 0, and limits groups to 100 levels.
func (s schema) closed(b []byte, depth int) (out []byte, disputed bool) {
	for len(b) > 0 {
		n, disputed := fieldLen(b, depth)
		if disputed {
			return nil, true
		}
		if n < 0 {
			return append(out, b...), false // broken for everybody
		}
		raw := b[:n]
		b = b[n:]
		num, typ, tag := protowire.ConsumeTag(raw)
		switch {
		case typ == protowire.VarintType && s.enums[num] != nil:
			if v, _ := protowire.ConsumeVarint(raw[tag:]); !s.enums[num](uint32(v)) {
				continue
			}
		case typ == protowire.BytesType && num == 1 && s.entry != nil:
			entry, _ := protowire.ConsumeBytes(raw[tag:])
			if entry, disputed = s.entry.closed(entry, depth+1); disputed {
				return nil, true
			}
			raw = protowire.AppendBytes(slices.Clip(raw[:tag]), entry)
		case typ == protowire.BytesType && num == s.list:
			for list, _ := protowire.ConsumeBytes(raw[tag:]); len(list) > 0; {
				_, n := protowire.ConsumeVarint(list)
				if n < 0 {
					disputed = protowire.ParseError(n) == overflow
					break
				}
				list = list[n:]
			}
			if disputed {
				return nil, true
			}
		}
		out = append(out, raw...)
	}
	return out, false
}

var (
	badNumber = protowire.ParseError(-2)
	overflow  = protowire.ParseError(-3)
)

// fieldLen returns the length of the field at the start of b, negative if the field is
// invalid.
func fieldLen(b []byte, depth int) (n int, disputed bool) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		err := protowire.ParseError(n)
		return n, err == badNumber || err == overflow
	}
	if num > protowire.MaxValidNumber {
		return 0, true
	}
	if typ != protowire.StartGroupType {
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return m, protowire.ParseError(m) == overflow
		}
		return n + m, false
	}
	if depth++; depth > 100 {
		return 0, true
	}
	for {
		end, typ, m := protowire.ConsumeTag(b[n:])
		if m >= 0 && typ == protowire.EndGroupType {
			if end != num {
				return -1, end > protowire.MaxValidNumber
			}
			return n + m, false
		}
		if m, disputed = fieldLen(b[n:], depth); m < 0 || disputed {
			return m, disputed
		}
		n += m
	}
}

// randomBody returns fields with small numbers and of every wire type, mostly complete.
func randomBody(r *rand.Rand) (b []byte) {
	for n := r.IntN(6); n >= 0; n-- {
		b = append(b, randomField(r, 0)...)
	}
	if r.IntN(4) == 0 {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	if r.IntN(8) == 0 {
		b = b[:r.IntN(len(b))]
	}
	return slices.Clip(b)
}

func randomField(r *rand.Rand, depth int) []byte {
	num := []protowire.Number{1, 1, 2, 2, 3, 3, 4, 20}[r.IntN(8)]
	value := []uint64{0, 1, 2, 3, 0x11, 0x12, 300, r.Uint64()}[r.IntN(8)]
	typ := protowire.Type(0)
	if r.IntN(3) == 0 {
		typ = []protowire.Type{0, 1, 2, 3, 5}[r.IntN(5)]
	}
	b := protowire.AppendTag(nil, num, typ)
	switch typ {
	case protowire.VarintType:
		return protowire.AppendVarint(b, value)
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, value)
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, uint32(value))
	case protowire.BytesType:
		return protowire.AppendBytes(b, randomContent(r, depth))
	}
	if depth < 3 {
		b = append(b, randomField(r, depth+1)...)
	}
	return protowire.AppendTag(b, num, protowire.EndGroupType)
}

// randomContent returns an entry of a 0x0708, or varints, or bytes that are both.
func randomContent(r *rand.Rand, depth int) (b []byte) {
	if r.IntN(3) > 0 {
		b = append(b, 1<<3, byte(r.IntN(128)), 2<<3, byte(1+r.IntN(3)), 3<<3, byte(1+r.IntN(2)))
	}
	for n := r.IntN(3); n > 0 && depth < 3; n-- {
		b = append(b, randomField(r, depth+1)...)
	}
	return b
}

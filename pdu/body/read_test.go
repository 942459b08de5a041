package body

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

// unhex decodes hexadecimal bytes; spaces are ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t *testing.T, name string, err error, good bool) {
	t.Helper()
	var bad *Error
	switch {
	case good && err != nil:
		t.Errorf("%s: got %v, want it read", name, err)
	case !good && err == nil:
		t.Errorf("%s: read, want an error", name)
	case !good && !errors.As(err, &bad):
		t.Errorf("%s: got a %T, want an *Error", name, err)
	}
}

func TestReadRoleSet(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       uint32
		good       bool
	}{
		{"one", "08 01", 1, true},
		{"zero", "08 00", 0, true},
		{"last wins", "08 01 08 02", 2, true},
		{"cut to 32 bits", "08 80 80 80 80 80 20", 0, true},
		{"64 bits", "08 ff ff ff ff ff ff ff ff ff 01", 0xffffffff, true},
		{"empty", "", 0, false},
		{"as bytes", "0a 01 78", 0, false},
		{"as fixed32", "0d 01000000", 0, false},
		{"as group", "0b 0c", 0, false},
		{"other field", "10 01", 0, false},
	} {
		got, err := ReadRoleSet(unhex(t, c.body))
		check(t, c.name, err, c.good)
		if err == nil && got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestReadUserStatusUpdate(t *testing.T) {
	online := ServerUserStat{User: 300, Status: Online, Client: ClientWindows}
	for _, c := range []struct {
		name, body string
		want       ServerUserStat
		good       bool
	}{
		{"plain", "08 01 10 ac02 18 01", online, true},
		{"any order", "18 01 08 01 10 ac02", online, true},
		{"mac", "08 02 10 00 18 02", ServerUserStat{0, Offline, ClientMac}, true},
		{"ios", "08 03 10 01 18 11", ServerUserStat{1, Leave, ClientIOS}, true},
		{"android", "08 01 10 ff ff ff ff 0f 18 12", ServerUserStat{0xffffffff, Online, ClientAndroid}, true},
		{"status is any number", "08 4d 10 05 18 11", ServerUserStat{5, 77, ClientIOS}, true},
		{"status 0", "08 00 10 05 18 01", ServerUserStat{5, 0, ClientWindows}, true},
		{"status of 32 bits", "08 ffffffff0f 10 05 18 01", ServerUserStat{5, 0xffffffff, ClientWindows}, true},
		{"last wins", "08 02 10 07 18 02 08 01 10 ac02 18 01", online, true},
		{"overlong", "08 81 80 00 10 ac82 8080 8080 8080 8000 18 81 80808080 80808080 00", online, true},
		{"cut to 32 bits", "08 81 80 80 80 10 10 85 80 80 80 30 18 82 80 80 80 20", ServerUserStat{5, Online, ClientMac}, true},
		{"bits above the 64th", "08 81 80 80 80 80 80 80 80 80 7e 10 ac02 18 01", online, true},
		{"bad client type before", "08 01 10 ac02 18 03 18 01", online, true},
		{"bad client type behind", "08 01 10 ac02 18 01 18 03", online, true},
		{"known numbers of other types", "08 01 10 ac02 18 01 0d 02000000 12 01 07 19 0200000000000000", online, true},

		{"empty", "", online, false},
		{"no status", "10 ac02 18 01", online, false},
		{"no user", "08 01 18 01", online, false},
		{"no client type", "08 01 10 ac02", online, false},
		{"client type 0", "08 01 10 ac02 18 00", online, false},
		{"client type 3", "08 01 10 ac02 18 03", online, false},
		{"client type 0x10", "08 01 10 ac02 18 10", online, false},
		{"client type 0x13", "08 01 10 ac02 18 13", online, false},
		{"client type 0x21", "08 01 10 ac02 18 21", online, false},
		{"client type -1", "08 01 10 ac02 18 ff ff ff ff ff ff ff ff ff 01", online, false},
		{"client type as bytes", "08 01 10 ac02 1a 01 01", online, false},
		{"status as fixed32", "0d 01000000 10 ac02 18 01", online, false},
		{"user as packed", "08 01 12 01 05 18 01", online, false},
	} {
		got, err := ReadUserStatusUpdate(unhex(t, c.body), nil)
		check(t, c.name, err, c.good)
		if err == nil && got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestReadOnlineUserInfo(t *testing.T) {
	one, two := ServerUserStat{1, Online, ClientWindows}, ServerUserStat{2, Leave, ClientAndroid}
	for _, c := range []struct {
		name, body string
		want       []ServerUserStat
		good       bool
	}{
		{"empty", "", nil, true},
		{"two", "0a06 0801 1001 1801 0a06 0802 1003 1812", []ServerUserStat{one, two}, true},
		{"duplicates", "0a06 0801 1001 1801 0a06 0801 1001 1801", []ServerUserStat{one, one}, true},
		{"unknown fields around", "2a0178 0a06 0801 1001 1801 20 01", []ServerUserStat{one}, true},
		{"unknown fields inside", "0a0b 0801 1001 1801 4a0179 2324", []ServerUserStat{one}, true},
		{"any order, last valid wins", "0a0e 1812 1002 0807 1003 0802 1004 1800", []ServerUserStat{two}, true},
		{"entry as varint", "0805", nil, true},
		{"entry as group", "0b 0801 1001 1801 0c", nil, true},
		{"wide values", "0a0e 0882808080 10 1083808080 10 1812", []ServerUserStat{two}, true},

		{"status 0", "0a06 0801 1001 1801 0a06 0802 1000 1801", nil, false},
		{"status 4", "0a06 0801 1001 1801 0a06 0802 1004 1801", nil, false},
		{"client type 0x20", "0a06 0801 1001 1801 0a06 0802 1001 1820", nil, false},
		{"no user", "0a04 1001 1801", nil, false},
		{"no status", "0a04 0801 1801", nil, false},
		{"no client type", "0a04 0801 1001", nil, false},
		{"empty entry", "0a06 0801 1001 1801 0a00", nil, false},
		{"bad entry first", "0a00 0a06 0801 1001 1801", nil, false},
		{"cut entry", "0a06 0801 1001 18", nil, false},
		{"entry ends inside a field", "0a05 0801 1001 18 01", nil, false},
		{"entry longer than the body", "0a07 0801 1001 1801", nil, false},
		{"field of an entry reaches behind it", "0a08 0801 1001 1801 2a03 616263", nil, false},
		{"group of an entry ends behind it", "0a07 0801 1001 1801 23 24", nil, false},
		{"broken behind the entries", "0a06 0801 1001 1801 07", nil, false},
	} {
		info, err := ReadOnlineUserInfo(unhex(t, c.body), nil)
		check(t, c.name, err, c.good)
		if got := slices.Collect(info.All()); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if info.Len != len(c.want) {
			t.Errorf("%s: got %d entries, want %d", c.name, info.Len, len(c.want))
		}
	}
}

func TestReadUsersStatusRequest(t *testing.T) {
	for _, c := range []struct {
		name, body string
		user       uint32
		ids        []uint32
		attach     string
		good       bool
	}{
		{"no ids", "0805", 5, nil, "", true},
		{"plain", "08ac02 1001 10ac02 a20103617474", 300, []uint32{1, 300}, "att", true},
		{"packed", "0805 1204 01ac02 03", 5, []uint32{1, 300, 3}, "", true},
		{"packed, empty", "0805 1200", 5, nil, "", true},
		{"mixed", "1001 1202 0203 0805 1004 1201 05", 5, []uint32{1, 2, 3, 4, 5}, "", true},
		{"duplicates", "0805 1001 1001", 5, []uint32{1, 1}, "", true},
		{"cut to 32 bits", "08 8180808050 10 8180808010 1206 ff8080808070", 1, []uint32{1, 127}, "", true},
		{"overlong", "0881808080 00 1081808080808080808000", 1, []uint32{1}, "", true},
		{"last wins", "0801 a2010161 0802 a2010162", 2, nil, "b", true},
		{"attach empty", "0805 a20100", 5, nil, "", true},
		{"other wire types", "0801 0d05000000 a1010900000000000000 a00104 1001 1501000000", 1, []uint32{1}, "", true},

		{"empty", "", 0, nil, "", false},
		{"no user", "1001 a2010178", 0, nil, "", false},
		{"user as string", "0a0131 1001", 0, nil, "", false},
		{"packed, cut", "0805 1202 0180", 0, nil, "", false},
		{"packed, cut by its length", "0805 1201 80 01", 0, nil, "", false},
		{"packed, longer than the body", "0805 1203 0102", 0, nil, "", false},
		{"packed, varint of 11 bytes", "0805 120b ffffffffffffffffffff01", 0, nil, "", false},
		{"attach cut", "0805 a201036174", 0, nil, "", false},
	} {
		r, err := ReadUsersStatusRequest(unhex(t, c.body))
		check(t, c.name, err, c.good)
		if err != nil {
			continue
		}
		if got := slices.Collect(r.Users()); r.User != c.user || !slices.Equal(got, c.ids) || string(r.AttachData) != c.attach {
			t.Errorf("%s: got user %d, ids %v, attach %q, want %d, %v, %q", c.name, r.User, got, r.AttachData, c.user, c.ids, c.attach)
		}
		if got := len(response(nil, r)); got != r.ResponseLen {
			t.Errorf("%s: response has %d bytes, announced were %d", c.name, got, r.ResponseLen)
		}
	}
}

// response appends the answer to r with every user offline.
func response(dst []byte, r UsersStatusRequest) []byte {
	dst = AppendUsersStatusResponse(dst, r.User)
	for user := range r.Users() {
		dst = AppendUserStat(dst, user, Offline)
	}
	return AppendAttachData(dst, r.AttachData)
}

func TestReadValues(t *testing.T) {
	const body = "0801 1002 1a020304 12020506 20 07 f8ffffff0f 08 f80109 0d01000000 010203040506070809"
	for _, c := range []struct {
		fields uint32
		want   []uint32
	}{
		{0, nil},
		{1 << 1, []uint32{1}},
		{1 << 2, []uint32{2, 5, 6}},
		{1<<1 | 1<<2 | 1<<3, []uint32{1, 2, 3, 4, 5, 6}},
		{1 << 31, []uint32{9}},
		{1<<32 - 2, []uint32{1, 2, 3, 4, 5, 6, 7, 9}},
		{1 << 5, nil},
	} {
		v, err := ReadValues(unhex(t, body), c.fields)
		check(t, "values", err, true)
		if got := slices.Collect(v.All()); !slices.Equal(got, c.want) {
			t.Errorf("fields %#x: got %v, want %v", c.fields, got, c.want)
		}
	}
	_, err := ReadValues(unhex(t, "0a 02 61 e9"), 1<<1)
	check(t, "bytes that are not a list", err, false)
	_, err = ReadValues(unhex(t, "0a 02 61 e9"), 1<<2)
	check(t, "the same, not named", err, true)
}

func TestIterationStops(t *testing.T) {
	info, _ := ReadOnlineUserInfo(unhex(t, "0a06 0801 1001 1801 0a06 0802 1003 1812"), nil)
	for u := range info.All() {
		if u.User != 1 {
			t.Errorf("got user %d, want the loop left after 1", u.User)
		}
		break
	}
	r, _ := ReadUsersStatusRequest(unhex(t, "0805 1203 010203 1004"))
	var got []uint32
	for id := range r.Users() {
		if got = append(got, id); id == 2 {
			break
		}
	}
	if want := []uint32{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestErrorSaysWhatAndWhere(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"0a06 0801 1001 1801 0a06 0802 1003 1820", "no valid client_type (0x20 is unknown) at byte 16 of the body"},
		{"0a06 0801 1001 1801 0a02 0880", "end inside a varint at byte 11 of the body"},
		{"0a06 0801 1001 1801 2a05 61", "field longer than its message at byte 10 of the body"},
	} {
		if _, err := ReadOnlineUserInfo(unhex(t, c.body), nil); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		}
	}
}

// Further types are read as those that they are admitted as, in both messages, and others
// stay unknown.
func TestFurtherClientTypes(t *testing.T) {
	types := ClientTypes{0x13: ClientAndroid, 3: ClientWindows}
	info, err := ReadOnlineUserInfo(unhex(t, "0a06 0801 1001 1813 0a06 0802 1001 1803 0a06 0803 1001 1811"), types)
	if err != nil {
		t.Fatal(err)
	}
	want := []ServerUserStat{{1, Online, ClientAndroid}, {2, Online, ClientWindows}, {3, Online, ClientIOS}}
	if got := slices.Collect(info.All()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, err := ReadUserStatusUpdate(unhex(t, "0801 1005 1813"), types); err != nil || got.Client != ClientAndroid {
		t.Errorf("got %v, %v", got, err)
	}
	for _, c := range []struct {
		body  string
		types ClientTypes
		field string
	}{
		{"0801 1005 1813", nil, "client_type"},
		{"0801 1005 1814", types, "client_type"},
		{"0801 1813", types, "user_id"},
	} {
		_, err := ReadUserStatusUpdate(unhex(t, c.body), c.types)
		if invalid, ok := err.(*Error); !ok || invalid.Field != c.field {
			t.Errorf("%s: got %v, want the field %s", c.body, err, c.field)
		}
	}
	if _, err := ReadOnlineUserInfo(unhex(t, "0a06 0801 1009 1811"), nil); err == nil || err.Error() != "no valid status (0x9 is unknown) at byte 8 of the body" {
		t.Errorf("got %v", err)
	}
}

func TestAnnounceable(t *testing.T) {
	for _, status := range []Status{0, Online, Offline, Leave, 4, 77, 0xffffffff} {
		for _, client := range []ClientType{ClientWindows, ClientMac, ClientIOS, ClientAndroid} {
			mobile := client == ClientIOS || client == ClientAndroid
			if client.PC() == mobile {
				t.Errorf("%#x: got PC %v", client, client.PC())
			}
			want := mobile || status == 1 || status == 2 || status == 3
			if got := (ServerUserStat{1, status, client}).Announceable(); got != want {
				t.Errorf("status %d of client %#x: got %v, want %v", status, client, got, want)
			}
		}
	}
}

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"on", AppendLoginStatusNotify(nil, 300, true), "08ac02 1001"},
		{"off", AppendLoginStatusNotify(nil, 0, false), "0800 1000"},
		{"status", AppendStatusNotify(nil, 5, Leave), "0a04 0805 1003"},
		{"largest status", AppendStatusNotify(nil, 0xffffffff, 0xffffffff), "0a0c 08ffffffff0f 10ffffffff0f"},
		{"response", AppendUsersStatusResponse(nil, 128), "088001"},
		{"response to 0", AppendUsersStatusResponse(nil, 0), "0800"},
		{"user", AppendUserStat(nil, 0, Offline), "1204 0800 1002"},
		{"largest user", AppendUserStat(nil, 0xffffffff, Online), "1208 08ffffffff0f 1001"},
		{"no attach", AppendAttachData(nil, nil), "a20100"},
		{"attach", AppendAttachData(nil, []byte("att")), "a20103 617474"},
		{"long attach", AppendAttachData(nil, make([]byte, 128)), "a2018001" + strings.Repeat("00", 128)},
		{"behind others", AppendStatusNotify([]byte{1}, 5, Offline), "01 0a04 0805 1002"},
	} {
		if want := unhex(t, c.want); !bytes.Equal(c.got, want) {
			t.Errorf("%s: got %x, want %x", c.name, c.got, want)
		}
	}
}

package body

import (
	"slices"
	"strings"
	"testing"
)

// groups returns n nested groups of field 4.
func groups(n int) string { return strings.Repeat("23", n) + strings.Repeat("24", n) }

// framings are bytes before and after the fields of a message, and whether the message
// is still valid.
var framings = []struct {
	name, fields string
	good         bool
}{
	{"nothing", "", true},
	{"unknown varint", "20 05", true},
	{"unknown varint of 10 bytes", "20 ff ff ff ff ff ff ff ff ff 7f", true},
	{"unknown fixed64", "21 0102030405060708", true},
	{"unknown fixed32", "25 01020304", true},
	{"unknown bytes", "22 03 616263", true},
	{"unknown bytes, empty", "22 00", true},
	{"unknown bytes, overlong length", "22 83 80 80 80 80 80 80 80 80 00 616263", true},
	{"unknown group", "23 08 01 25 01020304 24", true},
	{"unknown group, empty", "23 24", true},
	{"groups of several numbers", "23 2b 33 34 2c 24", true},
	{"large field number", "f8 ff ff ff 0f 01", true},
	{"overlong tag", "a0 80 80 80 00 05", true},
	{"tag of 10 bytes", "a0 80 80 80 80 80 80 80 80 00 05", true},
	{"tag wider than 32 bits", "a0 80 80 80 10 05", true},
	{"field 0, fixed64", "01 0102030405060708", true},
	{"field 0, bytes", "02 01 61", true},
	{"field 0, fixed32", "05 01020304", true},

	{"varint of 11 bytes", "20 ff ff ff ff ff ff ff ff ff ff 01", false},
	{"tag of 11 bytes", "a0 80 80 80 80 80 80 80 80 80 00 05", false},
	{"cut varint", "20 80", false},
	{"no varint", "20", false},
	{"cut tag", "a0", false},
	{"cut fixed64", "21 01020304050607", false},
	{"cut fixed32", "25 010203", false},
	{"cut bytes", "22 03 6162", false},
	{"no length", "22", false},
	{"length 2^31-1", "22 ff ff ff ff 07", false},
	{"length 2^31", "22 80 80 80 80 08", false},
	{"length 2^32", "22 80 80 80 80 10", false},
	{"length 2^63", "22 80 80 80 80 80 80 80 80 80 01", false},
	{"wire type 6", "26 00", false},
	{"wire type 7", "27 00", false},
	{"end of no group", "24", false},
	{"group without end", "23 08 01", false},
	{"group ended by another", "23 08 01 2c", false},
	{"groups that overlap", "23 2b 24 2c", false},
	{"wire type 6 in a group", "23 26 24", false},
	{"cut bytes in a group", "23 22 02 24", false},
	{"tag 0 in a group", "23 00 05 24", false},
	{"tag 0", "00 05", false},
	{"overlong tag 0", "80 00 05", false},
	{"tag cut to 0", "80 80 80 80 10 05", false},
}

// messages are valid bodies with every required field, for each reader.
var messages = []struct {
	name string
	good string
	read func([]byte) error
	// depth is how deep unknown groups may nest in it.
	depth int
}{
	{"role set", "08 01", func(b []byte) error { _, err := ReadRoleSet(b); return err }, 100},
	{"status update", "08 01 10 05 18 01", func(b []byte) error { _, err := ReadUserStatusUpdate(b, nil); return err }, 100},
	{"online user info", "0a 06 08 05 10 01 18 01", func(b []byte) error { _, err := ReadOnlineUserInfo(b, nil); return err }, 100},
	{"online user entry", "08 05 10 01 18 01", func(b []byte) error {
		_, err := ReadOnlineUserInfo(append([]byte{0x0a, byte(len(b)&0x7f) | 0x80, byte(len(b) >> 7)}, b...), nil)
		return err
	}, 99},
	{"users status request", "08 05 10 01", func(b []byte) error { _, err := ReadUsersStatusRequest(b); return err }, 100},
	{"values", "08 05", func(b []byte) error { _, err := ReadValues(b, 1<<1); return err }, 100},
}

func TestFraming(t *testing.T) {
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			for _, f := range framings {
				check(t, f.name+" behind", m.read(unhex(t, m.good+f.fields)), f.good)
				if f.good { // what is cut or open would swallow the fields behind it
					check(t, f.name+" in front", m.read(unhex(t, f.fields+m.good)), true)
				}
			}
			check(t, "deepest groups", m.read(unhex(t, m.good+groups(m.depth))), true)
			check(t, "groups too deep", m.read(unhex(t, m.good+groups(m.depth+1))), false)
		})
	}
}

func TestEveryCutIsSafe(t *testing.T) {
	for _, m := range messages {
		whole := unhex(t, m.good+"22 03 616263 23 25 01020304 24 21 0102030405060708")
		for n := range whole {
			_ = m.read(slices.Clip(whole[:n])) // must not panic
		}
		check(t, m.name, m.read(whole), true)
	}
}

package body

import (
	"slices"
	"testing"
)

// What is appended is read back.
func TestRestate(t *testing.T) {
	var b []byte
	var want []ServerUserStat
	for _, user := range []uint32{0, 127, 128, 1<<32 - 1} {
		for _, client := range []ClientType{ClientWindows, ClientMac, ClientIOS, ClientAndroid} {
			for status := Online; status <= Leave; status++ {
				u := ServerUserStat{user, status, client}
				b, want = AppendOnlineUser(b, u), append(want, u)
			}
			u := ServerUserStat{user, 1<<32 - 1, client}
			if got, err := ReadUserStatusUpdate(AppendUserStatusUpdate(nil, u), nil); got != u || err != nil {
				t.Errorf("read %+v back as %+v, %v", u, got, err)
			}
		}
	}
	info, err := ReadOnlineUserInfo(b, nil)
	if got := slices.Collect(info.All()); err != nil || !slices.Equal(got, want) {
		t.Errorf("read %+v back as %+v, %v", want, got, err)
	}
}

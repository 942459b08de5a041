package config

import (
	"maps"
	"testing"

	"switchyard/pdu/body"
)

func TestClients(t *testing.T) {
	got := Protocol{[]string{"mobile 0x13", "pc 3", "mobile 4294967295", "pc 0"}}.Clients()
	want := body.ClientTypes{0x13: body.ClientAndroid, 3: body.ClientWindows, 0xffffffff: body.ClientAndroid, 0: body.ClientWindows}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, text := range []string{"", "pc", "pc ", "PC 3", "mobile", "mobile x", "mobile -1", "mobile 4294967296", "tablet 3", "pc  3", "pc 1", "mobile 0x12"} {
		if checkClientType.accept(text) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

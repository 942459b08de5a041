package suggest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"CID_MSG_DATA", "CID_MSG_DATA_ACK", "CID_OTHER_HEARTBEAT", "drop", "certificate", "crl"}
	for word, want := range map[string]string{
		"CID_MSG_DAT":            "CID_MSG_DATA",
		"cid_msg_data":           "CID_MSG_DATA",
		"HEARTBEAT":              "CID_OTHER_HEARTBEAT",
		"drpo":                   "drop",
		"cert":                   "certificate",
		"crls":                   "crl",
		"":                       "",
		"xyz":                    "",
		"nothing_like_it_at_all": "",
		strings.Repeat("d", 65):  "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	if got := Hint("drp", []string{"drop"}, "write drop"); got != "did you mean drop?" {
		t.Errorf("got %q", got)
	}
	if got := Hint("zzzzzzzz", []string{"drop"}, "write drop"); got != "write drop" {
		t.Errorf("got %q", got)
	}
}

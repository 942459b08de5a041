package stablefile

import (
	"strings"
	"testing"
)

func TestCheckMark(t *testing.T) {
	for content, want := range map[string]string{
		"": "", "text": "", "\xef\xbb": "", "\xef\xbb\xbftext": "byte order mark", "\xff\xfet\x00": "UTF-16", "\xfe\xff\x00t": "UTF-16",
	} {
		err := CheckMark([]byte(content))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

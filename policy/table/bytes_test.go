package table

import "testing"

// A line with bytes that no table has is reported as the others are, and so are the faults around it.
func TestFaultsOfBytes(t *testing.T) {
	for src, want := range map[string]string{
		"[route]\n1 = \"drop\"\n\x012 = \"drop\"\n3 = \"drp\"\n": "x:3: it has the control character U+0001; remove that\nx:4: unknown action \"drp\"; did you mean drop?",
		"[route]\n1 = \"drp\"\n# \xe4\n":                         "x:2: unknown action \"drp\"; did you mean drop?\nx:3: it is not UTF-8; save the file as UTF-8",
	} {
		if _, err := Parse("x", []byte(src)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", src, err, want)
		}
	}
}

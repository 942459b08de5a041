package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A file that cannot be replaced does not keep the others from being formatted, and is not printed as
// changed. Nobody, not even root, can replace a file that has no name any more.
func TestFormatGoesOnBehindAFileThatCannotBeReplaced(t *testing.T) {
	t.Parallel()
	const messy, tidy = "[route]\nCID_MSG_DATA=\"drop\"\n", "[route]\nCID_MSG_DATA = \"drop\"\n"
	path := filepath.Join(t.TempDir(), "other.toml")
	nameless, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer nameless.Close()
	for _, err := range []error{os.Remove(nameless.Name()), os.WriteFile(path, []byte(messy), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nameless.WriteString(messy); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = (&formatOptions{}).files([]string{fmt.Sprintf("/proc/self/fd/%d", nameless.Fd()), path}, &out)
	if err == nil || out.String() != path+"\n" {
		t.Errorf("got %q and the error %v, want the other file alone and an error", out.String(), err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != tidy {
		t.Errorf("the other file has %q, %v, want %q", got, err, tidy)
	}
}

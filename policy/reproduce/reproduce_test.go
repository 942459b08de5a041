package reproduce

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

func failure(body string) Failure {
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 7, []byte(body))
	return Failure{
		Policy: "file:words.wasm", SHA256: "ab12", Config: []byte(`{"word":"<secret>"}`),
		Question: policy.Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: 9, Attributes: abi.AttributeMaster},
		Kind:     policy.FaultTrap, Error: "wasm error: unreachable\n\t.the_guilty_one()",
	}
}

func TestWhatIsSavedIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	for _, want := range []Failure{failure("hello"), failure("")} {
		if len(want.Question.Body) == 0 {
			want.Config, want.Question.Body = nil, []byte{}
		}
		path, err := Save(dir, want)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got.Config, want.Config = compact(got.Config), compact(want.Config)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v, want 0600: it holds what users wrote", info.Mode(), err)
		}
	}
}

func compact(b []byte) []byte {
	return []byte(strings.Join(strings.Fields(string(b)), ""))
}

func TestTheSameFailureIsSavedOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := Save(dir, failure("x"))
	again, err2 := Save(dir, failure("x"))
	if err != nil || err2 != nil || first != again {
		t.Errorf("got %s, %v and %s, %v", first, err, again, err2)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files, want one", len(files))
	}
}

// Peers decide how many failures there are and how large they are, and may fill no
// disk with that.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range MaxFiles {
		if _, err := Save(dir, failure(strings.Repeat("x", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Save(dir, failure("one more")); !errors.Is(err, ErrFull) {
		t.Errorf("one more: got %v, want ErrFull", err)
	}
	if _, err := Save(dir, failure(strings.Repeat("x", 3))); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if _, err := Save(t.TempDir(), failure(string(make([]byte, MaxBody+1)))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large body: got %v, want ErrTooLarge", err)
	}
	large, err := failure(string(make([]byte, MaxBody))).encode()
	if err != nil || len(large) > MaxSize {
		t.Errorf("the largest file has %d bytes, %v, and is not read", len(large), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != MaxFiles {
		t.Errorf("%d files, want %d and nothing half written", len(files), MaxFiles)
	}
}

func TestParseRefuses(t *testing.T) {
	sound, err := failure("hello").encode()
	if err != nil {
		t.Fatal(err)
	}
	for say, change := range map[string][2]string{
		"reproduce 2":            {`"reproduce": 1`, `"reproduce": 2`},
		"unknown field":          {`"session"`, `"sesion"`},
		"hex digits of 16":       {`"header": "`, `"header": "00`},
		"says 21 bytes":          {`"body": "68`, `"body": "`},
		"body: encoding/hex":     {`"body": "6`, `"body": "x`},
		"invalid character":      {`{`, `[`},
		"a file that was saved ": {string(sound), `{"reproduce": 1, "policy": "x"`},
	} {
		_, err := Parse(bytes.Replace(sound, []byte(change[0]), []byte(change[1]), 1))
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("got %v, want it to say %q", err, say)
		}
	}
}

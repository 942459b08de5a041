package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"switchyard/policy/stablefile"
)

// The shortest and the longest token, in bytes.
const (
	minToken = 16
	maxToken = 4 << 10
)

// tokens are those that give clients over TCP their rights.
type tokens struct {
	read, operate token
}

// check reads both files, so that faults are found at the start.
func (t *tokens) check() error {
	_, readKnown, err := t.read.sum()
	if err != nil {
		return fmt.Errorf("admin.read_token_file: %w", err)
	}
	_, operateKnown, err := t.operate.sum()
	if err != nil {
		return fmt.Errorf("admin.operate_token_file: %w", err)
	}
	if readKnown && operateKnown && t.rightOfSum(t.read.hash) == operate {
		return errors.New("admin.operate_token_file holds the token of admin.read_token_file, so reading would include operating; write another token")
	}
	return nil
}

// rightOf returns the right that a token gives. The comparison takes constant time.
func (t *tokens) rightOf(shown string) right { return t.rightOfSum(sha256.Sum256([]byte(shown))) }

func (t *tokens) rightOfSum(shown [sha256.Size]byte) right {
	mayRead, mayOperate := t.read.is(shown), t.operate.is(shown)
	switch {
	case mayOperate:
		return operate
	case mayRead:
		return read
	default:
		return nothing
	}
}

// A token is read from a file, and read again when the file changes. Only its hash is kept.
type token struct {
	path string // "" without a token; static

	mu    sync.Mutex // guards what follows; held while the file is read
	known bool
	hash  [sha256.Size]byte
	size  int64
	time  time.Time
	info  os.FileInfo
}

// is reports whether the hash is the token's. It is false if the file cannot be read.
func (t *token) is(shown [sha256.Size]byte) bool {
	hash, known, err := t.sum()
	return subtle.ConstantTimeCompare(hash[:], shown[:]) == 1 && known && err == nil
}

// sum returns the hash of the token in the file; known is false if there is no such token.
func (t *token) sum() (hash [sha256.Size]byte, known bool, err error) {
	if t.path == "" {
		return hash, false, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	if err != nil {
		t.known = false
		return hash, false, err
	}
	if t.known && os.SameFile(info, t.info) && info.Size() == t.size && info.ModTime().Equal(t.time) {
		return t.hash, true, nil
	}
	t.known = false
	text, err := readToken(t.path, info)
	if err != nil {
		return hash, false, err
	}
	t.known, t.hash, t.info, t.size, t.time = true, sha256.Sum256(text), info, info.Size(), info.ModTime()
	return t.hash, true, nil
}

// readToken returns a file's token. An error does not quote its content.
func readToken(path string, info os.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file; name one with a token", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return nil, err
	}
	if err := stablefile.CheckMark(text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text = bytes.TrimSpace(text)
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(text) < minToken || len(text) > maxToken || bytes.ContainsFunc(text, odd) {
		return nil, fmt.Errorf("%s holds no token of %d to %d printable characters without blanks; write one, as by head -c 24 /dev/urandom | base64", path, minToken, maxToken)
	}
	return text, nil
}

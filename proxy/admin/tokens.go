package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"sync"

	"switchyard/policy/stablefile"
)

// The shortest and the longest token, in bytes.
const (
	minToken = 16
	maxToken = 4 << 10
)

// maxTokens is the size in bytes up to which a file of tokens is read.
const maxTokens = 64 << 10

// A file of tokens is one token, or lines of a name and a token:
//
//	3b9d5e0c7f1a4d26b8…             anna   3b9d5e0c7f1a4d26b8…
//	                                deploy 91c0aa4e5d7734f2e6…
//
// For every request with a token the files are looked at (one stat each), and read when they have
// changed, so that a leaked token can be replaced without a restart. Tokens are hashed before they
// are compared, so that the time of a comparison says nothing about their length.

// tokens are those that give clients over TCP their rights.
type tokens struct {
	read, operate tokenFile
}

// check reads both files, so that faults are found at the start. key is the one that names the file
// with a fault.
func (t *tokens) check() (key string, err error) {
	const keyRead, keyOperate = "admin.read_token_file", "admin.operate_token_file"
	read, err := t.read.current()
	if err != nil {
		return keyRead, err
	}
	if _, err := t.operate.current(); err != nil {
		return keyOperate, err
	}
	for _, one := range read {
		if has, _ := t.rightOfSum(one.hash); has == operate {
			return keyOperate, errors.New("it holds a token of " + keyRead + ", so reading would include operating; write another token")
		}
	}
	return "", nil
}

// CheckTokens checks the token files of Options, which Serve would refuse. An empty path is no
// file. key is the key of the configuration that names the file with a fault.
func CheckTokens(read, operate string) (key string, err error) {
	t := new(tokens)
	t.read.path, t.operate.path = read, operate
	return t.check()
}

// rightOf returns the right that a token gives, and its name. The comparison takes constant time.
func (t *tokens) rightOf(shown string) (has right, name string) {
	return t.rightOfSum(sha256.Sum256([]byte(shown)))
}

// rightOfSum is rightOf for the hash of a token. Both files are always searched, so that the time
// does not tell in which one a token is.
func (t *tokens) rightOfSum(shown [sha256.Size]byte) (has right, name string) {
	mayRead, reader := t.read.has(shown)
	mayOperate, operator := t.operate.has(shown)
	switch {
	case mayOperate:
		return operate, operator
	case mayRead:
		return read, reader
	default:
		return nothing, ""
	}
}

// A tokenFile holds one token, or lines of a name and a token. It is read again when it changes.
// Only hashes are kept.
type tokenFile struct {
	path string // "" without tokens; static

	mu     sync.Mutex // guards what follows; held while the file is read
	tokens []token    // nil if the file could not be read
	info   os.FileInfo
}

// A token is the hash of one, with the name by which the history of policies knows who showed it.
type token struct {
	name string // empty if the file has none
	hash [sha256.Size]byte
}

// holds is has for a token itself.
func (t *tokenFile) holds(shown string) (found bool, name string) {
	return t.has(sha256.Sum256([]byte(shown)))
}

// has reports whether the hash is one of a token in the file, and its name. It is false if the file
// cannot be read.
func (t *tokenFile) has(shown [sha256.Size]byte) (found bool, name string) {
	all, err := t.current()
	if err != nil {
		return false, ""
	}
	for _, one := range all {
		if subtle.ConstantTimeCompare(one.hash[:], shown[:]) == 1 {
			found, name = true, one.name
		}
	}
	return found, name
}

// current returns the tokens in the file; none without a file.
func (t *tokenFile) current() ([]token, error) {
	if t.path == "" {
		return nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	if err != nil {
		t.tokens = nil
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; write a token of at least %d characters into it, or name another file", err, minToken)
		}
		return nil, err
	}
	if t.tokens != nil && stablefile.Same(info, t.info) {
		return t.tokens, nil
	}
	t.tokens, t.info = nil, info
	text, err := stablefile.Read(t.path, 0, maxTokens) // without a wait, as a request waits for it
	if err != nil {
		return nil, fmt.Errorf("%w; name a file with a token", err)
	}
	err = stablefile.CheckMark(text)
	if err == nil {
		t.tokens, err = parseTokens(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.path, err)
	}
	return t.tokens, nil
}

// tokenName is the name of a token, but for its length.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9._@-]+$`)

// parseTokens reads one token, or lines of a name and a token. An error does not quote the text, as
// it may hold tokens.
func parseTokens(text []byte) ([]token, error) {
	var all []token
	names := make(map[string]bool)
	number := 0
	for line := range bytes.Lines(bytes.TrimSpace(text)) {
		number++
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		one := token{hash: sha256.Sum256(fields[len(fields)-1])}
		if len(fields) == 2 {
			one.name = string(fields[0])
		}
		switch {
		case len(fields) > 2 || !isToken(fields[len(fields)-1]):
			return nil, fmt.Errorf("line %d holds no token of %d to %d printable characters without blanks; write one, as by head -c 24 /dev/urandom | base64", number, minToken, maxToken)
		case one.name == "" && (len(all) > 0 || bytes.ContainsRune(bytes.TrimSpace(text), '\n')):
			return nil, fmt.Errorf("line %d has no name; where there are several lines, write a name before each token", number)
		case one.name != "" && (len(one.name) > 40 || !tokenName.MatchString(one.name)):
			return nil, fmt.Errorf("line %d has no name that fits; write 1 to 40 of A-Z, a-z, 0-9 and . _ @ - before the token", number)
		case names[one.name]:
			return nil, fmt.Errorf("line %d has a name that is there already; write another", number)
		case slices.ContainsFunc(all, func(other token) bool { return other.hash == one.hash }):
			return nil, fmt.Errorf("line %d has a token that is there already; write another", number)
		}
		names[one.name] = true
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("it holds no token of %d to %d printable characters without blanks; write one, as by head -c 24 /dev/urandom | base64", minToken, maxToken)
	}
	return all, nil
}

// isToken reports whether a text can be a token: printable ASCII without blanks, which a header can
// carry as it is.
func isToken(text []byte) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return len(text) >= minToken && len(text) <= maxToken && !bytes.ContainsFunc(text, odd)
}

// Package reproduce stores the question on which a policy failed in a file, so that the
// failure can be repeated. It calls no policy.
//
// The file is JSON:
//
//	reproduce   1, the version of this format
//	policy      as the configuration names it
//	sha256      of its module
//	config      its configuration, or null
//	header      the PDU's 16 bytes of header, as hex digits
//	body        its body, as hex digits
//	session     of the sender
//	attributes  facts about the sender, as in policy/abi, but for groups
//	groups      in which the sender is, by name
//	fault       the kind of the failure
//	error       its text, with the guest's stack trace
//
// It may hold users' messages, so only its owner can read it.
package reproduce

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/statefolder"
)

// version is that of the format.
const version = 1

const (
	// MaxBody is the largest body that is saved, in bytes.
	MaxBody = 1 << 20
	// MaxFiles is the largest number of files in a folder: peers could cause any number of
	// failures.
	MaxFiles = 64
	// MaxSize is the largest file that Parse reads, in bytes.
	MaxSize = 4 << 20
)

var (
	// ErrFull is the error of Save if the folder has MaxFiles.
	ErrFull = fmt.Errorf("there are %d failures already; remove those that are understood", MaxFiles)
	// ErrTooLarge is the error of Save for a body of more than MaxBody.
	ErrTooLarge = fmt.Errorf("the body has more than %d bytes", MaxBody)
)

// A Failure is a question on which a policy failed.
type Failure struct {
	Policy   string
	SHA256   string
	Config   []byte // JSON, or nil
	Question policy.Question
	Kind     policy.FaultKind
	Error    string
}

// file is the JSON of a Failure.
type file struct {
	Version    int              `json:"reproduce"`
	Policy     string           `json:"policy"`
	SHA256     string           `json:"sha256"`
	Config     json.RawMessage  `json:"config"`
	Header     string           `json:"header"`
	Body       string           `json:"body"`
	Session    uint64           `json:"session"`
	Attributes uint64           `json:"attributes"`
	Groups     []policy.Group   `json:"groups,omitempty"`
	Kind       policy.FaultKind `json:"fault"`
	Error      string           `json:"error"`
}

// Save writes the failure to a file of its own in the folder, and returns the file's path. It
// creates the folder if necessary. Equal failures share a file. A file appears only when it
// is complete.
func Save(dir string, f Failure) (path string, err error) {
	if len(f.Question.Body) > MaxBody {
		return "", fmt.Errorf("save a policy's failure: %w", ErrTooLarge)
	}
	text, err := f.encode()
	if err != nil {
		return "", fmt.Errorf("save a policy's failure: %w", err)
	}
	sum := sha256.Sum256(text)
	path = filepath.Join(dir, fmt.Sprintf("fault-%s-%s.json", f.Kind, hex.EncodeToString(sum[:6])))
	if err := write(dir, path, text); err != nil {
		return "", fmt.Errorf("save a policy's failure: %w", err)
	}
	return path, nil
}

func (f Failure) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(file{version, f.Policy, f.SHA256, f.Config, hex.EncodeToString(f.Question.Header), hex.EncodeToString(f.Question.Body),
		f.Question.Session, f.Question.Attributes, f.Question.Groups, f.Kind, f.Error})
	return b.Bytes(), err
}

func write(dir, path string, text []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil // the same failure was saved before
	}
	have, err := filepath.Glob(filepath.Join(dir, "fault-*.json"))
	if err != nil {
		return err
	}
	if len(have) >= MaxFiles {
		return ErrFull
	}
	return statefolder.Exchange(path, text, nil)
}

// Parse reads a file that Save wrote.
func Parse(text []byte) (Failure, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var f file
	if err := d.Decode(&f); err != nil {
		return Failure{}, fmt.Errorf("%w; give a file that was saved when a policy failed", err)
	}
	if f.Version != version {
		return Failure{}, fmt.Errorf("it says reproduce %d, and only %d is known; give a file that was saved when a policy failed", f.Version, version)
	}
	header, err := hex.DecodeString(f.Header)
	if err != nil || len(header) != pdu.HeaderLen {
		return Failure{}, fmt.Errorf("header is not the hex digits of %d bytes", pdu.HeaderLen)
	}
	body, err := hex.DecodeString(f.Body)
	if err != nil {
		return Failure{}, fmt.Errorf("body: %w", err)
	}
	if n := pdu.ParseHeader(header).Length; uint64(n) != uint64(pdu.HeaderLen+len(body)) {
		return Failure{}, fmt.Errorf("the header says %d bytes, and header and body have %d", n, pdu.HeaderLen+len(body))
	}
	if string(f.Config) == "null" {
		f.Config = nil
	}
	q := policy.Question{Header: header, Body: body, Session: f.Session, Attributes: f.Attributes, Groups: f.Groups}
	return Failure{f.Policy, f.SHA256, f.Config, q, f.Kind, f.Error}, nil
}

package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"switchyard/policy"
)

// A Kind says what an entry records.
type Kind string

const (
	Initial    Kind = "initial"     // the first policy of a tenant came into force
	AtOnce     Kind = "at-once"     // a policy came into force without stages
	Begin      Kind = "begin"       // a release begins: the candidate is compared
	Stage      Kind = "stage"       // a release reached another stage
	Pause      Kind = "pause"       // a release was paused
	Resume     Kind = "resume"      // a paused release continues
	Done       Kind = "done"        // the candidate is in force
	RolledBack Kind = "rolled-back" // the previous policy is in force again
	Withdrawn  Kind = "withdrawn"   // the configuration names the stable policy again
	Superseded Kind = "superseded"  // another candidate arrived
	Refused    Kind = "refused"     // a policy was refused, and nothing changed
	Kill       Kind = "kill"        // the shipped policy is in force until Revive
	Revive     Kind = "revive"      // the policy that the configuration names is in force again
	Retry      Kind = "retry"       // policies that were rolled back may come into force again
	Head       Kind = "head"        // a new file begins and continues the chain
	Broken     Kind = "broken"      // a new chain begins because the previous file is damaged
)

// How each kind changes the policy in force; State.apply implements this:
//
//	begin, stage, pause, resume   a release is under way, until an entry with a receipt ends it
//	initial, at-once, done        To is in force, and the one before is kept for a rollback
//	rolled-back                   To is in force again
//	kill, revive                  the shipped policy is in force instead, and no longer
//	retry                         nothing is held back

// ends reports whether an entry of the kind has a receipt, because it sets the policy in force.
func (k Kind) ends() bool {
	switch k {
	case Initial, AtOnce, Done, RolledBack, Withdrawn, Superseded, Kill, Revive:
		return true
	}
	return false
}

// An Entry is one line of the history.
//
//	{"n":8,"prev":"9f2c…","time":"…","kind":"at-once","tenant":"acme","from":{…},"to":{…},"who":{…},"receipt":{…}}
type Entry struct {
	Number  uint64          `json:"n"`                 // counted from 1; unique in a folder
	Prev    string          `json:"prev"`              // SHA-256 of the previous line without its line end, in hex; empty in the first line of a chain
	Time    time.Time       `json:"time"`              // for information: the chain defines the order
	Kind    Kind            `json:"kind"`              //
	Tenant  string          `json:"tenant,omitempty"`  //
	Release uint64          `json:"release,omitempty"` // the number of the entry that began the release; 0 if the release consists of this entry alone
	From    *Policy         `json:"from,omitempty"`    // the policy that was in force before
	To      *Policy         `json:"to,omitempty"`      // the policy in force from now on, or the refused one
	Held    *Policy         `json:"held,omitempty"`    // the policy to skip from now on, until Retry
	Stage   *Progress       `json:"stage,omitempty"`   // for Begin, Stage, Pause and Resume: the progress of the release
	Lost    bool            `json:"lost,omitzero"`     // for Initial and AtOnce: To is in force because the policy that was in force is lost
	Who     Who             `json:"who,omitzero"`
	Reason  string          `json:"reason,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"` // a Statement or its envelope
	File    *File           `json:"file,omitempty"`    // for Head and Broken: the previous file
	State   State           `json:"state,omitempty"`   // for Head and Broken: the result of all earlier entries

	blobs   [][]byte // the files that the entry's policies refer to
	receipt Receipt
}

// A Policy is one content of a tenant's policy. Its sums are SHA-256, in hex.
type Policy struct {
	Name      string   `json:"name"`                       // as the configuration names it
	Revision  string   `json:"revision,omitempty"`         // for an address, as it reported it: the digest of a manifest, or an ETag
	SHA256    string   `json:"sha256"`                     // of its file; for a shipped policy, of its module
	Config    string   `json:"config_sha256,omitempty"`    // of its configuration; empty without one
	Signature string   `json:"signature_sha256,omitempty"` // of its signature file; empty without one
	Identity  string   `json:"identity"`                   // of file, configuration and may settings together
	Version   uint64   `json:"version,omitempty"`          // the signed version; 0 without a verified signature
	Signers   []string `json:"signers,omitempty"`
}

// Same reports whether both are the same file with the same configuration. The tenant's may
// settings are not compared.
func (p *Policy) Same(q *Policy) bool {
	return p != nil && q != nil && p.SHA256 == q.SHA256 && p.Config == q.Config
}

// Short describes the policy in one line.
func (p *Policy) Short() string {
	if p == nil {
		return "none"
	}
	version := ""
	if p.Version > 0 {
		version = fmt.Sprintf("v%d ", p.Version)
	}
	return version + p.SHA256[:min(8, len(p.SHA256))]
}

// A Progress is the progress of a release.
type Progress struct {
	State   string          `json:"state"`                // shadow, stage or bake
	Share   float64         `json:"share"`                // of the units that obey the candidate
	Least   float64         `json:"least_share,omitzero"` // policy.Split.LeastShare
	Paused  bool            `json:"paused,omitzero"`
	Reason  string          `json:"reason,omitempty"` // why it is paused
	Stopped bool            `json:"stopped,omitzero"` // the server stopped; the release continues at the next start
	Counts  *policy.Weighed `json:"counts,omitempty"` // if the server stopped: the evidence so far
}

// Who identifies the cause of an entry. It records what the server could observe and is not a
// proof: for a file, for example, it names the owner and the signers, not the person who copied
// it.
type Who struct {
	By      string     `json:"by,omitempty"`      // "token NAME", "socket, user 1000", "file", or the ground on which the server decided
	Owner   string     `json:"owner,omitempty"`   // of the policy's file, as a number
	Changed *time.Time `json:"changed,omitempty"` // when that file was changed
	Signers []string   `json:"signers,omitempty"` // the keys that signed it
}

// A File names a file of the history.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`           // of the whole file
	Line   int    `json:"line,omitempty"`   // for Broken: the first invalid line
	Reason string `json:"reason,omitempty"` // for Broken: why that line is invalid
}

// maxLine is the size in bytes up to which a line is read.
const maxLine = 8 << 20

// line returns the entry as a line without its line end.
func (e *Entry) line() ([]byte, error) {
	text, err := encode(e)
	if len(text) > maxLine {
		return nil, fmt.Errorf("the entry would have %d bytes, at most %d are read", len(text), maxLine)
	}
	return text, err
}

// encode returns v as JSON in one line, without its end and with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	err := j.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Sum returns the SHA-256 of a text in hex.
func Sum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

// Identify returns the identity of a policy: SHA-256 over the sums of file and configuration
// and over the may settings. Every version of the program computes the same identity. The sums
// are in hex and thus without line ends, so no two triples give the same text.
func Identify(file, config, may string) string {
	return Sum(fmt.Appendf(nil, "%s\n%s\n%s\n", file, config, may))
}

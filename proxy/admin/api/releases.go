package api

import (
	"encoding/json"
	"time"
)

// Releases are the policies in force of tenants and what was done to them.
type Releases struct {
	Releases []Release      `json:"releases"` // by tenant
	History  HistoryAccount `json:"history"`
}

// A Release is the state of one tenant's policy.
type Release struct {
	Tenant   string           `json:"tenant"`
	Mode     string           `json:"mode"`     // how a saved policy comes into force: at-once
	Release  uint64           `json:"release"`  // the number of the last change; verbs may name it
	InForce  *ReleasedPolicy  `json:"in_force"` // by the history; nil if it does not know
	Previous []ReleasedPolicy `json:"previous"` // that were in force before and are kept, the latest first
	Held     []ReleasedPolicy `json:"held"`     // that were rolled back, and are skipped until a retry
	Killed   bool             `json:"killed"`   // the shipped policy is in force instead
	Drift    string           `json:"drift"`    // why the policy in force is not the one that the configuration names: rolled-back or killed; empty if it is
	Refused  string           `json:"refused"`  // why the policy that the configuration names is refused; empty if it is not
}

// A ReleasedPolicy is one content of a tenant's policy. Its sums are in hex.
type ReleasedPolicy struct {
	Name     string   `json:"name"`
	SHA256   string   `json:"sha256"`   // of its file
	Identity string   `json:"identity"` // SHA-256 of file, configuration and may settings together
	Version  uint64   `json:"version"`  // that was signed; 0 without a verified signature
	Signers  []string `json:"signers"`  // ids of the keys that signed it
}

// A HistoryAccount says how far the history has come.
type HistoryAccount struct {
	Entries uint64 `json:"entries"` // the number of the last one
	Head    string `json:"head"`    // SHA-256 of its line; empty before the first
	Unsaved int    `json:"unsaved"` // entries that could not be written yet
	Intact  bool   `json:"intact"`  // this process found no damage
	Error   string `json:"error"`   // why the last entry was not written; empty if it was
}

// A ReleaseHistory is a part of the history, the latest entry first.
type ReleaseHistory struct {
	Entries []HistoryEntry `json:"entries"`
}

// A HistoryEntry is one entry of the history.
type HistoryEntry struct {
	Number  uint64          `json:"n"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Tenant  string          `json:"tenant"`  // empty for entries about the history itself
	Release uint64          `json:"release"` // the number by which its receipt is known
	From    *ReleasedPolicy `json:"from"`    // in force before; nil if there was none, or nothing changed
	To      *ReleasedPolicy `json:"to"`      // in force from then on, or refused; nil if nothing changed
	Who     ReleaseWho      `json:"who"`
	Reason  string          `json:"reason"`
}

// A ReleaseWho is who caused an entry.
type ReleaseWho struct {
	By      string     `json:"by"`      // the user of the socket, the name of a token, or file
	Owner   string     `json:"owner"`   // of the policy's file, as a number; empty if no file caused it
	Changed *time.Time `json:"changed"` // when that file was changed; nil if no file caused it
	Signers []string   `json:"signers"` // ids of the keys that signed it
}

// A ReleaseReceipt is the receipt of one release.
type ReleaseReceipt struct {
	Release   uint64          `json:"release"`
	Signers   []string        `json:"signers"`   // ids of the keys that signed it; empty if it is not signed
	Statement json.RawMessage `json:"statement"` // an in-toto Statement
	Receipt   json.RawMessage `json:"receipt"`   // as it stands in the history: the statement, or its DSSE envelope
}

// A ReleaseRequest asks for a change of one tenant's policy.
type ReleaseRequest struct {
	Tenant  string `json:"tenant"`            // may be left out if there is one
	Release uint64 `json:"release,omitempty"` // the present one; others are refused. 0 or none: whichever it is
	To      string `json:"to,omitempty"`      // of a rollback: the beginning of a SHA-256, or a signed version; empty for the policy before
	Reason  string `json:"reason,omitempty"`  // for the history
}

package api

import (
	"encoding/json"
	"time"
)

// The answers to /api/v1/releases and below it, and what its verbs take. Most of it is the history of
// policies and the release under way as package history and the server have them.

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
	Drift    string           `json:"drift"`    // why the policy in force is not the one that belongs there; empty if it is: rolled-back or killed, if another one than the configuration names is in force, or lost, if the one before was lost and there was nothing to compare it with
	Stage    *ReleaseStage    `json:"stage"`    // how far the release is that is under way; nil if there is none
	Refused  string           `json:"refused"`  // why the policy that the configuration names is refused; empty if it is not

	OutdatedPeers int  `json:"outdated_peers"` // whose users were announced to a policy that was rolled back or killed and handled presence otherwise
	Reconnecting  bool `json:"reconnecting"`   // those peers are being closed, one per second
}

// A ReleaseStage is how far a release is.
type ReleaseStage struct {
	Candidate   ReleasedPolicy `json:"candidate"`
	State       string         `json:"state"`        // shadow, stage or bake
	Share       float64        `json:"share"`        // of the units that obey the candidate, 0 to 1
	Effective   float64        `json:"effective"`    // the same as it is, if few connections are the units
	NextUnitAt  float64        `json:"next_unit_at"` // the share above which the next unit obeys the candidate, of those that sent affected PDUs in a stage; 0 if there is none
	Paused      bool           `json:"paused"`       //
	Reason      string         `json:"reason"`       // why it is paused
	HeldSeconds float64        `json:"held_seconds"` // in this stage, without pauses
	HoldSeconds float64        `json:"hold_seconds"` // the least time of this stage; 0 if only an operator ends it
	Weighed     uint64         `json:"weighed"`      // PDUs that were compared in this stage
	Sample      uint64         `json:"sample"`       // the least number of those; 0 if the stage wants none
	Steps       []ReleaseStep  `json:"steps"`        // that it goes through if nothing ends it
	Step        int            `json:"step"`         // the index of the present one
	Budgets     []BudgetUse    `json:"budgets"`
	Alike       uint64         `json:"alike"`        // PDUs since it began about which both say the same by ids
	ByStable    uint64         `json:"by_stable"`    // other PDUs, obeyed as the stable policy says
	ByCandidate uint64         `json:"by_candidate"` // other PDUs, obeyed as the candidate says
	Commands    []string       `json:"commands"`     // that the release affects
	Unseen      []string       `json:"unseen"`       // of those, the ones of which no PDU was seen
	Counts      ReleaseCounts  `json:"counts"`
}

// A ReleaseStep is one state of a release with its share.
type ReleaseStep struct {
	State string  `json:"state"` // as of ReleaseStage
	Share float64 `json:"share"`
}

// A BudgetUse is how much of one budget a candidate uses. Copies and bytes are how much more, as
// 0.25; fuel is units for an inspection; the others are rates of PDUs.
type BudgetUse struct {
	Budget  string  `json:"budget"`
	Used    float64 `json:"used"`
	Allowed float64 `json:"allowed"`
	Ratio   float64 `json:"ratio"` // used of allowed; a few PDUs above 1 end no release, as they prove nothing
}

// ReleaseCounts is what was compared since the release began. Pairs are of the stable policy and the
// candidate.
type ReleaseCounts struct {
	PDUs        uint64    `json:"pdus"`      // of affected commands
	Unweighed   uint64    `json:"unweighed"` // of those, not compared
	Differ      uint64    `json:"differ"`
	Faults      uint64    `json:"faults"` // on which the candidate alone fails
	Closes      uint64    `json:"closes"` // on which it alone closes the sender
	Undelivered uint64    `json:"undelivered"`
	Copies      [2]uint64 `json:"copies"`
	Bytes       [2]uint64 `json:"bytes"`
	Fuel        [2]uint64 `json:"fuel"`
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
	Receipt   json.RawMessage `json:"receipt"`   // as it is in the history: the statement, or its DSSE envelope
}

// A ReleaseRequest asks for a change of one tenant's policy.
type ReleaseRequest struct {
	Tenant  string `json:"tenant,omitempty"`  // may be left out if there is one
	Release uint64 `json:"release,omitempty"` // the present one; others are refused. 0 or none: whichever it is
	To      string `json:"to,omitempty"`      // of a rollback: the beginning of a SHA-256, or a signed version; empty for the previous policy
	All     bool   `json:"all,omitempty"`     // of a promotion: past all stages
	Reason  string `json:"reason,omitempty"`  // for the history

	Reconnect bool `json:"reconnect,omitempty"` // of a rollback: close peers, one per second, so that they reconnect
}

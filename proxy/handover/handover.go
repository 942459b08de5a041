// Package handover carries listeners, connections and their state from one process to another,
// over a Unix socket pair. It holds the order of the steps on both sides and their time limits.
// It knows neither tenants nor sessions: what it carries is the business of its callers.
//
// The files in the order in which a handover meets them:
//
//	old.go ──▶ sender.go ──▶ frame.go ──▶ conn.go ═══ socket pair ═══ conn.go ──▶ frame.go ──▶ new.go
package handover

import (
	"errors"
	"fmt"
	"time"
)

// Both processes speak in turn until the descriptors move. Only the old process decides, and it
// keeps serving if anything fails above the line:
//
//	old                                 new
//	hello    ─────────────────────────▶          Ask
//	         ◀───────────────── offer, refuse    New.Offer
//	Old.Freeze
//	listener ─────────────────────────▶          New.Listener       Old.Send
//	process  ─────────────────────────▶          New.Process
//	tenant   ─────────────────────────▶          New.Tenant
//	presence ─────────────────────────▶          New.Presence
//	sessions ─────────────────────────▶          New.Session
//	end      ─────────────────────────▶          New.Ready
//	         ◀───────────────── ready, refuse
//	go, abort ────────────────────────▶
//	─────────────────────────────────────────────────────────────── the point of no return
//	HandOver returns                    TakeOver returns
//	stop     ─────────────────────────▶          AwaitStop          if it is told to, and has not ended
//
// The old process may say abort instead of anything, and the new one refuse. The end of the
// stream before go means that the other process is gone.

// Format is the version of the messages. A process accepts only its own. The layout of a frame and
// the messages hello, offer, refuse and abort are the same in all formats.
const Format = 1

// A Hello is the first message of the old process.
type Hello struct {
	Format  int
	Version string // of the program
	PID     int
}

// An Offer is what the new process has loaded and could serve with. The old process compares it
// with what it serves with.
type Offer struct {
	Format      int
	Version     string            // of the program
	Sockets     []string          // what the process would listen at, one text for each
	Policies    map[string]string // checksum of the policy, by tenant
	Clusters    map[string]string `json:"Places"` // which hub of which cluster it would be, by tenant
	Descriptors uint64            // how many the process may have open
}

// Counts says how much was moved.
type Counts struct {
	Listeners, Processes, Tenants, Sessions int
	Presence                                int // bytes
}

// Limits are how long the old process waits for each part of a handover.
type Limits struct {
	Offer  time.Duration // until the new process has loaded everything and made its offer
	Freeze time.Duration // until everything has stopped
	Ready  time.Duration // until everything is sent and the new process is ready
}

// DefaultLimits keep the time in which peers get nothing below ten seconds.
var DefaultLimits = Limits{Offer: 30 * time.Second, Freeze: 2 * time.Second, Ready: 5 * time.Second}

// A Step is a part of a handover that can fail.
type Step string

const (
	StepOffer  Step = "offer"  // the new process loads its files and says what it has
	StepFreeze Step = "freeze" // the old process stops everything
	StepSend   Step = "send"   // the old process sends everything
	StepReady  Step = "ready"  // the new process adopts everything
	StepGo     Step = "go"     // the old process lets go
)

// An Error says at which step a handover failed. The old process then keeps serving.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Errors of the new process.
var (
	// ErrGone: the old process closed the stream or ended before it said go.
	ErrGone = errors.New("the old process ended before it handed over")
	// ErrAborted: the old process keeps serving.
	ErrAborted = errors.New("the old process gave up the handover")
)

// A RefusedError is why the new process refused to take over, in its own words.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return "the new process refused: " + e.Why }

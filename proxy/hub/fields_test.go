package hub

import (
	"reflect"
	"strings"
	"testing"
)

// Every count of a hub moves with its state.
func TestStateHasAllCounts(t *testing.T) {
	state := reflect.TypeFor[State]()
	for count := range reflect.TypeFor[counts]().Fields() {
		if _, found := state.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, count.Name) }); !found {
			t.Errorf("counts.%s has no field of State: let Export and Import take it along", count.Name)
		}
	}
}

// What a seat consists of either moves with it, or is made again.
func TestEverythingOfSeatsMoves(t *testing.T) {
	const (
		moves   = "it is in SeatState, or follows from what is"
		due     = "it follows from the bytes due"
		again   = "the new hub makes it"
		scratch = "it is empty between two calls"
		apply   = "it is only for Apply"
		place   = "it is in Underway"
	)
	known := map[string]map[string]string{
		"Seat": {"hub": again, "peer": again, "joined": again, "number": moves, "master": moves, "final": "a seat that has left does not move", "fresh": due,
			"writer": "see below", "reader": "see below", "kicked": "such a seat does not move", "added": due, "excluded": moves, "own": moves,
			"pdusIn": moves, "limited": moves, "bytesIn": moves, "outApplied": moves, "back": "such a seat does not move", "copied": again, "editCap": due, "standby": moves, "passed": again, "passes": moves, "passedAt": again, "membership": "the caller of Restore sets it"},
		"reader": {"seat": again, "session": moves, "runs": scratch, "commandRuns": scratch, "out": moves, "master": moves,
			"sampler": again, "connection": "the caller of Restore sets the identity", "stage": scratch, "comparison": scratch, "pairs": scratch, "applies": apply, "uncounted": apply, "limits": apply,
			"standby": moves, "aside": place, "buckets": "rate limits begin again, as docs/policies.md says"},
		"writer": {"cursor": again, "passed": again, "edits": due, "until": scratch, "most": due, "due": scratch, "all": scratch, "skipped": moves, "inserted": moves,
			"base": moves, "since": moves, "at": again, "sideAt": due, "queued": due, "sent": moves, "sentBytes": moves},
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Seat](), reflect.TypeFor[reader](), reflect.TypeFor[writer]()} {
		for field := range of.Fields() {
			if known[of.Name()][field.Name] == "" {
				t.Errorf("%s.%s: does it move with the seat? See Seat.Export and Hub.Restore", of.Name(), field.Name)
			}
		}
	}
}

package history

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// One goroutine writes the entries. Append or Flush starts it; it ends when all entries are written
// or a write fails, and the last Flush waits for it. Readers see a copy of its results and never wait
// for the disk:
//
//	Append ──▶ unsaved ──▶ writeLoop ──▶ history.jsonl
//	  ▲ for writeTime          │
//	  └──────── result ◀───────┴──▶ shown ──▶ State, Position, Recent
//
// If the disk responds, an entry is durable when Append returns. If it hangs, one Append waits for
// writeTime, and later ones return at once until an entry has been written again.

// An unsaved is an entry that waits to be written.
type unsaved struct {
	Entry               // not changed by the writer, as others read it
	result chan written // holds one
}

// A written is the result of the first attempt to write an entry.
type written struct {
	Entry
	err error
}

// A shown is what readers of the history see. Its parts are replaced and never modified.
type shown struct {
	tip     tip
	saved   State
	recent  []*Entry
	damaged *Fault
	err     error // why the last entry was not written; nil if it was
}

// Append adds an entry with the files that its policies refer to, and returns it with its number.
// It waits for the disk for at most a second, so it belongs off the data path. Kinds that end a
// release get a receipt; r holds the parts of it that only the caller knows. If the entry cannot
// be written in that time, it has no number and is in effect until the process ends; it is written
// when the disk responds, by the next call of Append or Flush.
func (h *History) Append(e Entry, r Receipt, blobs ...[]byte) (Entry, error) {
	e.Time, e.blobs, e.receipt = now(), blobs, r
	u := &unsaved{e, make(chan written, 1)}
	begin, wait := h.queue(u)
	if begin {
		h.start(h.writeLoop)
	}
	for range waits {
		select {
		case w := <-u.result:
			return w.Entry, w.err
		case <-time.After(wait / waits):
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = true
	h.shown.err = h.located(fmt.Errorf("the disk has not responded for %v; entries are written when it does", h.wait))
	return e, h.shown.err
}

func now() time.Time { return time.Now().UTC().Round(time.Millisecond) }

// queue adds an entry for the writer. It returns whether the writer must be started, and how long
// to wait for the result.
func (h *History) queue(u *unsaved) (begin bool, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unsaved = append(h.unsaved, u); len(h.unsaved) > maxUnsaved {
		h.giveUp()
	}
	if begin = h.writing == nil; begin {
		h.writing = make(chan struct{})
	}
	if !h.late {
		wait = h.wait
	}
	return begin, wait
}

// giveUp drops the oldest unsaved entry, which stays in effect until the process ends. Called under
// mu.
func (h *History) giveUp() {
	e := &h.unsaved[0].Entry
	after := h.shown.saved.clone()
	after.apply(e, h.keep)
	h.shown.saved, h.unsaved = after, h.unsaved[1:]
	if t := after[e.Tenant]; t != nil {
		h.given[e.Tenant] = t
	}
}

// takeGiven applies the entries that were given up. All of them are older than those in unsaved.
// Called under disk and mu.
func (h *History) takeGiven() {
	maps.Copy(h.saved, h.given.clone())
	clear(h.given)
}

// Flush tries to write the entries that could not be written before, waits at most limit until all
// are written, and returns how many are not.
func (h *History) Flush(limit time.Duration) (unwritten int) {
	h.mu.Lock()
	begin := h.writing == nil && len(h.unsaved) > 0
	if begin {
		h.writing = make(chan struct{})
	}
	writing := h.writing
	h.mu.Unlock()
	if begin {
		h.start(h.writeLoop)
	}
	if writing != nil {
		select {
		case <-writing:
		case <-time.After(limit):
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.unsaved)
}

// writeLoop is the writer.
func (h *History) writeLoop() {
	h.disk.Lock()
	defer h.disk.Unlock()
	for h.writeAll() {
	}
}

// writeAll writes all unsaved entries, and reports whether more arrived meanwhile. Called under
// disk.
func (h *History) writeAll() bool {
	var done []*unsaved
	var results []written
	err := h.located(h.locked(func() error {
		for u := h.next(); u != nil; u = h.next() {
			e, err := h.save(u.Entry)
			if err != nil {
				return err
			}
			h.show(u)
			done, results = append(done, u), append(results, written{Entry: e})
		}
		if h.folder == "" {
			return nil
		}
		h.crash()
		if err := h.writeHead(); err != nil {
			return err
		}
		return h.prune()
	}))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown.damaged, h.shown.err = h.damaged, err
	for i, u := range done {
		results[i].err = err
		u.tell(results[i])
	}
	if err == nil {
		h.late = false
		if len(h.unsaved) > 0 {
			return true
		}
	}
	for _, u := range h.unsaved {
		u.tell(written{u.Entry, err})
	}
	close(h.writing)
	h.writing = nil
	return false
}

// tell sends the result to the entry's Append, unless it has one already.
func (u *unsaved) tell(w written) {
	select {
	case u.result <- w:
	default:
	}
}

// next returns the oldest unsaved entry, or nil. Called under disk.
func (h *History) next() *unsaved {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takeGiven()
	if len(h.unsaved) == 0 {
		return nil
	}
	return h.unsaved[0]
}

// show publishes what was read and written. u is the entry that was just written, or nil; it may
// have been given up meanwhile. Called under disk.
func (h *History) show(u *unsaved) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u != nil && len(h.unsaved) > 0 && h.unsaved[0] == u {
		h.unsaved = h.unsaved[1:]
	}
	h.takeGiven()
	h.shown = shown{h.tip, h.saved.clone(), slices.Clone(h.recent), h.damaged, nil}
}

// State returns the state of a tenant after all entries, including those that could not be
// written: a rollback must be obeyed even if the disk is full. The result is a copy.
func (h *History) State(tenant string) Tenant {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := State{tenant: new(Tenant)}
	*s[tenant] = h.shown.saved.of(tenant)
	for _, u := range h.unsaved {
		if u.Tenant == tenant {
			s.apply(&u.Entry, h.keep)
		}
	}
	return *s[tenant]
}

// A Position is the current end of a history.
type Position struct {
	Number  uint64 // number of the last entry
	Sum     string // SHA-256 of its line
	Unsaved int    // entries that could not be written
	Damaged *Fault // the last damage that this process found; nil if it found none
	Err     error  // why the last entry was not written; nil if it was
}

// Position returns the current end of the history.
func (h *History) Position() Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Position{h.shown.tip.number, h.shown.tip.sum, len(h.unsaved), h.shown.damaged, h.shown.err}
}

// Recent returns up to limit of the last 500 entries, the latest first. If tenant is not empty,
// it returns only that tenant's entries.
func (h *History) Recent(tenant string, limit int) []Entry {
	h.mu.Lock()
	recent := h.shown.recent
	h.mu.Unlock()
	var some []Entry
	for _, e := range slices.Backward(recent) {
		if len(some) < limit && (tenant == "" || e.Tenant == tenant) {
			some = append(some, *e)
		}
	}
	return some
}

// unwritten returns a file that is not yet in the folder, or nil if all are.
func (h *History) unwritten(sum string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.unsaved {
		for _, blob := range u.blobs {
			if Sum(blob) == sum {
				return blob
			}
		}
	}
	return h.inMemory[sum]
}

// keepInMemory stores files of policies if there is no folder. It keeps those that prune would keep
// in one. Called under disk.
func (h *History) keepInMemory(blobs [][]byte) {
	used := h.saved.sums()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, blob := range blobs {
		h.inMemory[Sum(blob)] = blob
	}
	maps.DeleteFunc(h.inMemory, func(sum string, _ []byte) bool { return !used[sum] })
}

// Package history records which policy was in force when, and who caused it, as a chain of lines
// in files of one folder, and keeps the policies themselves. It loads no policy and decides
// nothing.
//
//	history.jsonl         one Entry a line, each with the SHA-256 of the line before
//	history-000001.jsonl  the file before it: full, or damaged from some line on
//	head.json             number and SHA-256 of the last line, signed if there is a key
//	policies/SHA256       files, configurations and signatures of policies
//
// Several processes may share the folder: a writer locks it, and first reads what others wrote.
// The chain reveals that a line was changed, removed or inserted, and head.json reveals that the
// end was cut off. An attacker with write access can replace the whole folder; only a signature,
// or a number and sum recorded elsewhere, reveals that.
//
// A crash at any moment leaves one of these, in the order in which an entry is written:
//
//	a policy that no entry refers to   removed with the next entry
//	a line without an end              the file is put aside, and Broken begins a new one
//	a line that head.json lacks        nothing to do
//	no history.jsonl                   it was put aside: Head or Broken begins a new one
package history

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"switchyard/policy/provenance"
	"switchyard/policy/statefolder"
)

const (
	// fileName is the file that is written.
	fileName = "history.jsonl"
	// maxFile is the size in bytes at which a new file is begun.
	maxFile = 64 << 20
	// maxRecent is how many entries are kept in memory for readers.
	maxRecent = 500
	// maxUnsaved is how many entries are kept while the folder cannot be written.
	maxUnsaved = 100
)

// A History is the history in one folder. Any number of goroutines may use it.
type History struct {
	// Static after Open.
	folder  string // empty: nothing is kept beyond this process
	keep    int    // number of policies to keep for each tenant
	signer  *provenance.Signer
	maxFile int64
	crash   func() // called before each change to a file; tests simulate a crash with it

	mu      sync.Mutex // guards what follows, and is held while files are read or written
	tip     tip
	lines   int         // number of lines of history.jsonl that were read
	size    int64       // size of those lines
	file    os.FileInfo // history.jsonl when it was last read; nil before that
	saved   State       // state after the lines that were read
	recent  []*Entry    // the last entries, the latest last
	unsaved []*Entry    // entries that could not be written yet
	damaged *Fault      // the last damage that was found; nil if there was none
	err     error       // why the last entry was not written; nil if it was

	inMemory map[string][]byte // files of policies by their sums, if there is no folder
}

// Open returns the history in a folder, which the first Append creates. Without a folder it is
// lost when the process ends. signer may be nil. If the folder cannot be read or written, Open
// returns the error and a history that works in memory; each Append tries the folder again.
func Open(folder string, keep int, signer *provenance.Signer) (*History, error) {
	h := &History{folder: folder, keep: keep, signer: signer, maxFile: maxFile, crash: func() {}, saved: make(State), inMemory: make(map[string][]byte)}
	return h, h.open()
}

func (h *History) open() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.folder == "" {
		return nil
	}
	if _, err := os.Stat(h.folder); os.IsNotExist(err) {
		return nil
	}
	h.err = h.located(h.locked(func() error { return nil }))
	return h.err
}

// located adds the place to an error.
func (h *History) located(err error) error {
	if err != nil {
		err = fmt.Errorf("history in %s: %w", h.folder, err)
	}
	return err
}

// locked locks the folder, reads what other processes wrote, and calls write.
func (h *History) locked(write func() error) error {
	if err := os.MkdirAll(h.policies(), 0o700); err != nil {
		return err
	}
	unlock, err := statefolder.Lock(h.folder, statefolder.LockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.catchUp(); err != nil {
		return err
	}
	return write()
}

// Append writes an entry with the files that its policies refer to, and returns it with its
// number. It waits for the disk, and up to statefolder.LockTimeout for other processes, so it
// belongs off the data path. Kinds that end a release get a receipt; r holds the parts of it
// that only the caller knows. If the entry cannot be written, it has no number and is in
// effect until the process ends; the next Append writes it.
func (h *History) Append(e Entry, r Receipt, blobs ...[]byte) (Entry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Time, e.blobs, e.receipt = now(), blobs, r
	if h.unsaved = append(h.unsaved, &e); len(h.unsaved) > maxUnsaved {
		h.saved.apply(h.unsaved[0], h.keep)
		h.unsaved = h.unsaved[1:]
	}
	h.err = h.located(h.flush())
	return e, h.err
}

func now() time.Time { return time.Now().UTC().Round(time.Millisecond) }

// flush writes all unsaved entries.
func (h *History) flush() error {
	if h.folder == "" {
		for len(h.unsaved) > 0 {
			if err := h.take(h.unsaved[0]); err != nil {
				return err
			}
		}
		return nil
	}
	return h.locked(func() error {
		for len(h.unsaved) > 0 {
			if err := h.save(h.unsaved[0]); err != nil {
				return err
			}
		}
		h.crash()
		if err := h.writeHead(); err != nil {
			return err
		}
		return h.prune()
	})
}

// take adds an entry to the chain of a history that exists only in memory. Of the files of
// policies it keeps those that prune would keep in a folder.
func (h *History) take(e *Entry) error {
	line, err := h.seal(e)
	if err != nil {
		return err
	}
	for _, blob := range e.blobs {
		h.inMemory[Sum(blob)] = blob
	}
	h.unsaved = h.unsaved[1:]
	h.tip = tip{e.Number, Sum(line)}
	h.remember(e)
	used := h.saved.sums()
	maps.DeleteFunc(h.inMemory, func(sum string, _ []byte) bool { return !used[sum] })
	return nil
}

// seal completes an entry by its number, the sum of the line before and its receipt, and
// returns its line.
func (h *History) seal(e *Entry) ([]byte, error) {
	e.Number, e.Prev = h.tip.number+1, h.tip.sum
	if e.Kind.ends() {
		var err error
		if e.Receipt, err = e.sealed(h.signer); err != nil {
			return nil, err
		}
	}
	return e.line()
}

// remember applies an entry of the chain. A Head or Broken contains the state after all earlier
// entries, so that reading needs only the newest file.
func (h *History) remember(e *Entry) {
	if e.State != nil {
		h.saved = e.State.clone()
	}
	h.saved.apply(e, h.keep)
	e.blobs, e.State = nil, nil
	h.recent = append(h.recent, e)
	if more := len(h.recent) - maxRecent; more > 0 {
		h.recent = slices.Delete(h.recent, 0, more)
	}
}

// State returns the state of a tenant after all entries, including those that could not be
// written: a rollback must be obeyed even if the disk is full. The result is a copy.
func (h *History) State(tenant string) Tenant {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := State{tenant: new(Tenant)}
	*s[tenant] = h.saved.of(tenant)
	for _, e := range h.unsaved {
		if e.Tenant == tenant {
			s.apply(e, h.keep)
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
	return Position{h.tip.number, h.tip.sum, len(h.unsaved), h.damaged, h.err}
}

// Recent returns up to limit of the last 500 entries, the latest first. If tenant is not empty,
// it returns only that tenant's entries.
func (h *History) Recent(tenant string, limit int) []Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	var some []Entry
	for _, e := range slices.Backward(h.recent) {
		if len(some) < limit && (tenant == "" || e.Tenant == tenant) {
			some = append(some, *e)
		}
	}
	return some
}

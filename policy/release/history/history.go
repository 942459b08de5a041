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
	// writeTime is how long Append waits for the disk.
	writeTime = time.Second
	// waits is the number of parts of that time. A process that stood still loses one part, not all.
	waits = 20
)

// A History is the history in one folder. Any number of goroutines may use it. Only its writer waits
// for the disk without a limit: see writer.go.
type History struct {
	// Static after Open.
	folder  string // empty: nothing is kept beyond this process
	keep    int    // number of policies to keep for each tenant
	signer  *provenance.Signer
	maxFile int64
	wait    time.Duration      // how long Append waits for the disk
	crash   func()             // called before each change to a file; tests simulate a crash with it
	start   func(write func()) // starts the writer; runs it to its end if there is no folder

	disk    sync.Mutex // guards what follows, and is held while files are read or written
	tip     tip
	lines   int         // number of lines of history.jsonl that were read
	size    int64       // size of those lines
	file    os.FileInfo // history.jsonl when it was last read; nil before that
	saved   State       // state after the lines that were read
	recent  []*Entry    // the last entries, the latest last
	damaged *Fault      // the last damage that was found; nil if there was none

	mu       sync.Mutex // guards what follows, and is held briefly; it may be taken below disk
	shown    shown
	unsaved  []*unsaved        // entries that were not written yet
	writing  chan struct{}     // closed when the writer ends; nil if none runs
	late     bool              // the disk hung, and no entry was written since
	given    State             // states of tenants after entries that were given up, until the writer takes them
	inMemory map[string][]byte // files of policies by their sums, if there is no folder
}

// Open returns the history in a folder, which the first Append creates. Without a folder it is
// lost when the process ends. signer may be nil. If the folder cannot be read or written, Open
// returns the error and a history that works in memory; each Append tries the folder again.
func Open(folder string, keep int, signer *provenance.Signer) (*History, error) {
	h := &History{folder: folder, keep: keep, signer: signer, maxFile: maxFile, wait: writeTime, crash: func() {}, start: func(write func()) { go write() },
		saved: make(State), given: make(State), inMemory: make(map[string][]byte)}
	if folder == "" {
		h.start = func(write func()) { write() } // it waits for nothing
	}
	h.show(nil)
	return h, h.open()
}

func (h *History) open() error {
	h.disk.Lock()
	defer h.disk.Unlock()
	if h.folder == "" {
		return nil
	}
	if _, err := os.Stat(h.folder); os.IsNotExist(err) {
		return nil
	}
	err := h.located(h.locked(func() error { return nil }))
	h.show(nil)
	h.shown.err = err // nobody else has h yet
	return err
}

// Recheck reads the whole file again. Damage that was done to it since it was read shows only so;
// what this process knows remains in effect, also for a process that opens the history after that.
// It waits for the disk.
func (h *History) Recheck() error {
	h.disk.Lock()
	defer h.disk.Unlock()
	if h.folder == "" {
		return nil
	}
	h.file = nil
	if err := h.located(h.locked(func() error { return nil })); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown = shown{h.tip, h.saved.clone(), slices.Clone(h.recent), h.damaged, h.shown.err}
	return nil
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
	if h.folder == "" {
		return write()
	}
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

package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"switchyard/policy/statefolder"
)

const (
	// ledgerFile is the file in the folder of a Ledger.
	ledgerFile = "versions.json"
	// ledgerFormat is the version of its format.
	ledgerFormat = 1
	// maxLedger is the size in bytes up to which it is read: some ten thousand
	// policies.
	maxLedger = 1 << 20
)

// A Ledger stores the highest signed version of each tenant's policies that was in force, in
// a file in a folder that several processes may share:
//
//	format   1
//	tenants  by name, and by the policy's name: the version
//
// A user with the right to write there can remove entries, which cannot be detected. Any
// number of goroutines may use a Ledger.
//
// An old policy keeps its valid signature for ever, so signatures alone do not stop whoever can
// write the policy's file from putting an old one back. The ledger's version is the floor below
// which that is refused:
//
//	in force           version   downgrade_to   floor afterwards
//	acme.wasm          7         0              7
//	acme.wasm          6         0              refused: 6 < 7
//	acme.wasm          6         6              6, lowered by the operator
//	acme.wasm          8         6              8
//
// Where the folder cannot be written, the versions of this process still count: the floor is
// the greater one of file and memory, unless the one in memory was lowered by the operator.
type Ledger struct {
	folder      string // empty: nothing is kept beyond this process
	lockTimeout time.Duration

	mu      sync.Mutex // guards unsaved, and is held while the file is read or written
	unsaved map[policyOf]unsaved
}

// policyOf is one policy of one tenant.
type policyOf struct{ tenant, name string }

// unsaved is a version that could not be written yet.
type unsaved struct {
	version uint64
	lowered bool // by the operator: it counts even if the file has a higher one
}

// over combines this version with the one in the file.
func (u unsaved) over(saved uint64) uint64 {
	if u.lowered {
		return u.version
	}
	return max(u.version, saved)
}

// versions holds the highest version by tenant and policy.
type versions map[string]map[string]uint64

func (v versions) set(tenant, name string, version uint64) {
	if v[tenant] == nil {
		v[tenant] = make(map[string]uint64)
	}
	v[tenant][name] = version
}

// ledger is the content of the file.
type ledger struct {
	Format  int      `json:"format"`
	Tenants versions `json:"tenants"`
}

// NewLedger returns the ledger in a folder, which the first Record creates. Without a folder
// its content is lost when the process ends.
func NewLedger(folder string) *Ledger {
	return &Ledger{folder: folder, lockTimeout: statefolder.LockTimeout, unsaved: make(map[policyOf]unsaved)}
}

// Folder returns the folder, or empty.
func (l *Ledger) Folder() string { return l.folder }

// Floor returns the highest version of the policy that the tenant had in force, or 0.
// It returns an error if the file cannot be read or is damaged: its content is unknown.
func (l *Ledger) Floor(tenant, name string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.unsaved[policyOf{tenant, name}]
	saved, err := l.read()
	if err != nil && !u.lowered {
		return 0, err
	}
	return u.over(saved[tenant][name]), nil
}

// Record stores that the version is in force. It may wait for the lock of the folder, for as
// long as statefolder.LockTimeout says. A version below the floor changes nothing,
// unless it is the one that the operator allows by downgradeTo: then it becomes the floor.
// If it returns an error, the version counts until the process ends, and is written by the
// next Record that succeeds.
func (l *Ledger) Record(tenant, name string, version, downgradeTo uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.folder == "" {
		l.keep(tenant, name, version, downgradeTo)
		return nil
	}
	if err := l.write(tenant, name, version, downgradeTo); err != nil {
		l.keep(tenant, name, version, downgradeTo)
		return fmt.Errorf("remember version %d of %s of tenant %s: %w", version, name, tenant, err)
	}
	return nil
}

// keep stores the version in this process.
func (l *Ledger) keep(tenant, name string, version, downgradeTo uint64) {
	u := l.unsaved[policyOf{tenant, name}]
	if version == downgradeTo {
		u = unsaved{version, true}
	}
	u.version = max(u.version, version)
	l.unsaved[policyOf{tenant, name}] = u
}

// write writes the version, and the unsaved ones. It reads the file under the folder's lock, so
// that no version of another process is lost between reading and writing.
func (l *Ledger) write(tenant, name string, version, downgradeTo uint64) error {
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return err
	}
	unlock, err := statefolder.Lock(l.folder, l.lockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	saved, err := l.read()
	if err != nil {
		return err
	}
	changed := false
	set := func(tenant, name string, version uint64) {
		if saved[tenant][name] != version {
			saved.set(tenant, name, version)
			changed = true
		}
	}
	for p, u := range l.unsaved {
		set(p.tenant, p.name, u.over(saved[p.tenant][p.name]))
	}
	set(tenant, name, unsaved{version, version == downgradeTo}.over(saved[tenant][name]))
	if changed {
		err = l.replace(saved)
	}
	if err == nil {
		clear(l.unsaved)
	}
	return err
}

// read reads the file; without one, nothing was ever in force.
func (l *Ledger) read() (versions, error) {
	if l.folder == "" {
		return make(versions), nil
	}
	path := filepath.Join(l.folder, ledgerFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return make(versions), nil
	}
	text, _, err := readRegular(path, maxLedger) // at any time, as it is only ever replaced as a whole
	if err != nil {
		return nil, err
	}
	var in ledger
	if err := decodeStrictly(text, &in); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if in.Format != ledgerFormat || in.Tenants == nil {
		return nil, fmt.Errorf("%s is damaged, or of another Switchyard: it has format %d and not %d, or no tenants", path, in.Format, ledgerFormat)
	}
	return in.Tenants, nil
}

// replace writes the file as a whole. The caller has locked the folder.
func (l *Ledger) replace(v versions) error {
	text, err := json.MarshalIndent(ledger{ledgerFormat, v}, "", "  ")
	if err != nil {
		return err
	}
	if len(text) >= maxLedger {
		return fmt.Errorf("%s would have more than %d bytes; remove the entries that are no longer used", ledgerFile, maxLedger)
	}
	return statefolder.Replace(filepath.Join(l.folder, ledgerFile), append(text, '\n'))
}

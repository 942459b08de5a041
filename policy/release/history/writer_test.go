package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A disk that hangs keeps one Append waiting for a while, and no reader. Entries that arrive
// meanwhile are written in order when the disk responds.
func TestDiskThatHangs(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, folder, nil)
		save(t, h, "acme", "one")
		answers, begun := make(chan struct{}), time.Now()
		h.crash = func() { <-answers }
		for _, name := range []string{"two", "three"} {
			p, file := policyOf(name)
			if e, err := h.Append(Entry{Kind: AtOnce, Tenant: "acme", To: p}, Receipt{}, file); err == nil || e.Number != 0 {
				t.Errorf("%s: entry %d, %v", name, e.Number, err)
			}
			if got, err := h.Content(p.SHA256); string(got) != name || err != nil {
				t.Errorf("content: %q, %v", got, err)
			}
		}
		wantState(t, h, "acme", "three", []string{"one", "two"}, nil)
		if p := h.Position(); p.Number != 1 || p.Unsaved != 2 || p.Err == nil {
			t.Errorf("while it hangs: %+v", p)
		}
		if recent := h.Recent("", 9); len(recent) != 1 {
			t.Errorf("while it hangs: %d entries", len(recent))
		}
		if took := time.Since(begun); took != h.wait {
			t.Errorf("two entries took %v", took)
		}
		if n := h.Flush(time.Second); n != 2 {
			t.Errorf("%d entries are not written, want 2", n)
		}
		close(answers)
		if n := h.Flush(time.Minute); n != 0 {
			t.Errorf("%d entries are not written when the disk responds", n)
		}
		if p := h.Position(); p.Number != 3 || p.Unsaved != 0 || p.Err != nil {
			t.Errorf("when it responds: %+v", p)
		}
		if e := save(t, h, "acme", "four"); e.Number != 4 {
			t.Errorf("the next entry has the number %d, want 4", e.Number)
		}
	})
	wantSound(t, folder, 4)
	wantState(t, open(t, folder, nil), "acme", "four", []string{"one", "two", "three"}, nil)
}

// If more entries arrive than are kept while the disk hangs, the oldest are not written, but stay in
// effect.
func TestDiskThatHangsForLong(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, folder, nil)
		save(t, h, "acme", "one")
		save(t, h, "acme", "two")
		answers := make(chan struct{})
		h.crash = func() { <-answers }
		append := func(e Entry) { h.Append(e, Receipt{}) }
		one, _ := policyOf("one")
		two, _ := policyOf("two")
		append(Entry{Kind: RolledBack, Tenant: "acme", From: two, To: one, Held: two})
		for i := range 2 * maxUnsaved {
			append(Entry{Kind: Retry, Tenant: fmt.Sprint(i)})
		}
		wantState(t, h, "acme", "one", nil, []string{"two"})
		if p := h.Position(); p.Unsaved != maxUnsaved {
			t.Errorf("%d entries wait, want %d", p.Unsaved, maxUnsaved)
		}
		close(answers)
		if n := h.Flush(time.Minute); n != 0 {
			t.Errorf("%d entries are not written", n)
		}
		wantState(t, h, "acme", "one", nil, []string{"two"})
	})
	// The rollback was being written when the disk hung.
	wantSound(t, folder, 2+1+maxUnsaved)
	text, err := os.ReadFile(filepath.Join(folder, fileName))
	if err != nil || !strings.Contains(string(text), fmt.Sprintf(`"tenant":"%d"`, 2*maxUnsaved-1)) {
		t.Errorf("the last entry is missing, %v", err)
	}
}

// The same if the disk fails and works again: entries that were given up are older than those that
// are written then.
func TestDiskThatFailsForLong(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	away := folder + ".away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one, _ := policyOf("one")
	two, _ := policyOf("two")
	h.Append(Entry{Kind: Kill, Tenant: "zeta"}, Receipt{})
	h.Append(Entry{Kind: RolledBack, Tenant: "acme", From: two, To: one, Held: two}, Receipt{})
	three, file := policyOf("three")
	h.Append(Entry{Kind: AtOnce, Tenant: "acme", To: three}, Receipt{}, file)
	for range maxUnsaved - 2 {
		if _, err := h.Append(Entry{Kind: Retry, Tenant: "other"}, Receipt{}); err == nil {
			t.Fatal("an entry was written")
		}
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Append(Entry{Kind: Retry, Tenant: "other"}, Receipt{}); err != nil { // two are given up by then
		t.Fatal(err)
	}
	wantState(t, h, "acme", "three", []string{"one"}, []string{"two"})
	if !h.State("zeta").Killed {
		t.Error("the kill that was given up is no longer in effect")
	}
}

// What a disk could not take is written by Flush, once it can.
func TestDiskThatFailed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Open(folder, 8, nil)
	if err == nil {
		t.Fatal("opened a file as a folder")
	}
	one, file := policyOf("one")
	for _, e := range []Entry{{Kind: AtOnce, Tenant: "acme", To: one}, {Kind: Kill, Tenant: "acme"}} {
		if _, err := h.Append(e, Receipt{}, file); err == nil {
			t.Error("an entry was written")
		}
	}
	if n := h.Flush(time.Minute); n != 2 || h.Position().Err == nil {
		t.Errorf("%d entries are not written, %v; want 2 and an error", n, h.Position().Err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if n := h.Flush(time.Minute); n != 0 || h.Position().Err != nil {
		t.Errorf("%d entries are not written, %v", n, h.Position().Err)
	}
	wantSound(t, folder, 2)
	if !open(t, folder, nil).State("acme").Killed {
		t.Error("the kill is forgotten")
	}
}

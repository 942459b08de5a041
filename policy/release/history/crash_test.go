package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What cannot be written counts in this process, and is written when that is possible again.
func TestHistoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state")
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	if err := os.Rename(folder, folder+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	two, file := policyOf("two")
	if e, err := h.Append(Entry{Kind: AtOnce, Tenant: "acme", To: two}, Receipt{}, file); err == nil || e.Number != 0 {
		t.Errorf("wrote entry %d where nothing can be written, %v", e.Number, err)
	}
	wantState(t, h, "acme", "two", []string{"one"}, nil)
	if p := h.Position(); p.Unsaved != 1 || p.Err == nil {
		t.Errorf("position: %+v", p)
	}
	if got, err := h.Content(two.SHA256); string(got) != "two" || err != nil {
		t.Errorf("content: %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(folder), os.Rename(folder+".gone", folder)); err != nil {
		t.Fatal(err)
	}
	save(t, h, "acme", "three")
	wantSound(t, folder, 3)
	wantState(t, open(t, folder, nil), "acme", "three", []string{"one", "two"}, nil)
	if p := h.Position(); p.Unsaved != 0 || p.Err != nil || p.Number != 3 {
		t.Errorf("position: %+v", p)
	}
}

// A line of which only a part could be written is removed again.
func TestPartOfALine(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	sound, err := os.ReadFile(filepath.Join(folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range 20 { // as a crash leaves it
		folder := t.TempDir()
		if err := copyFile(filepath.Join(h.folder, headFile), filepath.Join(folder, headFile)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fileName), append(bytes.Clone(sound), sound[:cut*len(sound)/20]...), 0o600); err != nil {
			t.Fatal(err)
		}
		h := open(t, folder, nil)
		wantState(t, h, "acme", "one", nil, nil)
		if r := verify(t, folder); r.Fault != nil {
			t.Errorf("cut at %d: %v", cut, r.Fault)
		}
	}
}

// crashed is what a crash point of the tests panics with.
type crashed struct{}

// After a crash before any change of a file, the history opens, verifies, and has either the entry
// or not.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for point := 1; ; point++ {
		folder := t.TempDir()
		h := openKeeping(t, folder, 2, nil)
		h.start = func(write func()) { write() } // so that the panic below is this test's
		h.maxFile = 1500                         // so that files are exchanged, and by keeping two, policies removed
		for i := range 4 {
			save(t, h, "acme", fmt.Sprint(i))
		}
		left := point
		h.crash = func() {
			if left--; left == 0 {
				panic(crashed{})
			}
		}
		over := func() (over bool) {
			defer func() { over = recover() == nil }()
			save(t, h, "acme", "4")
			return
		}()
		h = openKeeping(t, folder, 2, nil)
		if p := h.Position(); p.Damaged != nil {
			t.Errorf("crash point %d: %v", point, p.Damaged)
		}
		if r := verify(t, folder); r.Fault != nil {
			t.Errorf("crash point %d: %v", point, r.Fault)
		}
		s := h.State("acme")
		before, _ := policyOf("3")
		after, _ := policyOf("4")
		if !s.InForce.Same(before) && !s.InForce.Same(after) {
			t.Errorf("crash point %d: %s is in force", point, s.InForce.Short())
		}
		for _, p := range append(s.Previous, *s.InForce) {
			if _, err := h.Content(p.SHA256); err != nil {
				t.Errorf("crash point %d: %v", point, err)
			}
		}
		save(t, h, "acme", "5")
		if r := verify(t, folder); r.Fault != nil {
			t.Errorf("crash point %d, and one entry more: %v", point, r.Fault)
		}
		if over {
			if point < 6 {
				t.Errorf("only %d crash points", point-1)
			}
			return
		}
	}
}

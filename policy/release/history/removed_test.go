package history

import (
	"os"
	"path/filepath"
	"testing"
)

// If all files were removed but head.json, that is damage as well, and no number occurs twice.
func TestRemovedHistory(t *testing.T) {
	folder := t.TempDir()
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	if err := os.Remove(filepath.Join(folder, fileName)); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, folder); r.Fault == nil || r.Fault.Line != 1 {
		t.Errorf("found %v, want line 1", r.Fault)
	}
	h = open(t, folder, nil)
	if p := h.Position(); p.Damaged == nil || p.Damaged.File != fileName {
		t.Errorf("damage: %v", p.Damaged)
	}
	if e := save(t, h, "acme", "three"); e.Number <= 2 {
		t.Errorf("number %d occurs twice", e.Number)
	}
	if r := wantSound(t, folder, 2); len(r.Notes) != 1 {
		t.Errorf("notes: %q", r.Notes)
	}
}

// If the whole folder is removed, a process that has read it knows on what was rolled back.
func TestRemovedFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	rollBack(t, h, "acme")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if e := save(t, h, "acme", "three"); e.Number <= 3 {
		t.Errorf("number %d occurs twice", e.Number)
	}
	if p := h.Position(); p.Damaged == nil {
		t.Error("the damage is not known")
	}
	wantState(t, open(t, folder, nil), "acme", "three", []string{"one"}, []string{"two"})
}

// The same holds if an older file is still there.
func TestRemovedLastFile(t *testing.T) {
	folder := t.TempDir()
	h := open(t, folder, nil)
	h.maxFile = 1
	save(t, h, "acme", "one")
	e := save(t, h, "acme", "two")
	if err := os.Remove(filepath.Join(folder, fileName)); err != nil {
		t.Fatal(err)
	}
	h.maxFile = maxFile
	if after := save(t, h, "acme", "three"); after.Number <= e.Number {
		t.Errorf("number %d occurs twice", after.Number)
	}
	if p := h.Position(); p.Damaged == nil {
		t.Error("the damage is not known")
	}
	wantState(t, h, "acme", "three", []string{"one", "two"}, nil)
	if r := verify(t, folder); r.Fault == nil {
		t.Error("found nothing")
	}
}

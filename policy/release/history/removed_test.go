package history

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// If all files were removed but head.json, that is damage as well, and no number occurs twice.
func TestRemovedHistory(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// Whatever happens to the file, a process that has read it knows on what was rolled back and killed,
// and so does the next one.
func TestDamagedMeanwhile(t *testing.T) {
	t.Parallel()
	changed := func(text []byte) []byte {
		return bytes.Replace(text, []byte(`"kind":"at-once"`), []byte(`"kind":"at_once"`), 1)
	}
	for name, damage := range map[string]func(path string, text []byte) error{
		"emptied": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"cut":     func(path string, text []byte) error { return os.Truncate(path, int64(len(text)/2)) },
		"replaced": func(path string, text []byte) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			return os.WriteFile(path, changed(text), 0o600)
		},
		"changed in place": func(path string, text []byte) error { return os.WriteFile(path, changed(text), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			h := open(t, folder, nil)
			save(t, h, "acme", "one")
			save(t, h, "acme", "two")
			rollBack(t, h, "acme")
			if _, err := h.Append(Entry{Kind: Kill, Tenant: "acme"}, Receipt{}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, fileName)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path, text); err != nil {
				t.Fatal(err)
			}
			if err := h.Recheck(); err != nil || h.Position().Damaged == nil {
				t.Errorf("the damage is not known: %v", err)
			}
			if e := save(t, h, "east", "one"); e.Number <= 5 {
				t.Errorf("number %d occurs twice", e.Number)
			}
			for _, h := range []*History{h, open(t, folder, nil)} {
				wantState(t, h, "acme", "one", nil, []string{"two"})
				wantState(t, h, "east", "one", nil, nil)
				if !h.State("acme").Killed {
					t.Error("the kill is forgotten")
				}
			}
			if r := verify(t, folder); r.Fault == nil {
				t.Error("found nothing")
			}
		})
	}
}

// A last line without its end is an interrupted write only if head.json does not know its entry.
func TestCutLastLine(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	if err := os.Truncate(h.path(fileName), h.size-10); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, folder); r.Fault == nil {
		t.Error("found nothing")
	}
	h = open(t, folder, nil)
	if p := h.Position(); p.Damaged == nil || p.Damaged.Torn {
		t.Errorf("damage: %v", p.Damaged)
	}
	wantState(t, h, "acme", "one", nil, nil)
	if r := verify(t, folder); r.Fault == nil {
		t.Error("found nothing once another file has begun")
	}
}

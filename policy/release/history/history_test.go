package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/policy/provenance"
)

// policyOf returns a policy and its file.
func policyOf(text string) (*Policy, []byte) {
	file := []byte(text)
	return &Policy{Name: "file:p.toml", SHA256: Sum(file), Identity: Identify(Sum(file), "", "")}, file
}

func open(t *testing.T, folder string, signer *provenance.Signer) *History {
	t.Helper()
	return openKeeping(t, folder, 20, signer)
}

func openKeeping(t *testing.T, folder string, keep int, signer *provenance.Signer) *History {
	t.Helper()
	h, err := Open(folder, keep, signer)
	if err != nil {
		t.Fatal(err)
	}
	h.wait = time.Minute // a busy machine's disk takes more than a second
	return h
}

// save puts a policy in force.
func save(t *testing.T, h *History, tenant, text string) Entry {
	t.Helper()
	p, file := policyOf(text)
	e, err := h.Append(Entry{Kind: AtOnce, Tenant: tenant, From: h.State(tenant).InForce, To: p, Who: Who{By: "file"}}, Receipt{}, file)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// rollBack goes back to the previous policy.
func rollBack(t *testing.T, h *History, tenant string) {
	t.Helper()
	s := h.State(tenant)
	to := s.Previous[len(s.Previous)-1]
	if _, err := h.Append(Entry{Kind: RolledBack, Tenant: tenant, From: s.InForce, To: &to, Held: s.InForce}, Receipt{}); err != nil {
		t.Fatal(err)
	}
}

// wantState compares a tenant's state with texts of policies: in force, before it, and held.
func wantState(t *testing.T, h *History, tenant, inForce string, previous, held []string) {
	t.Helper()
	s := h.State(tenant)
	want := func(what string, got []Policy, texts []string) {
		var sums []string
		for _, text := range texts {
			p, _ := policyOf(text)
			sums = append(sums, p.SHA256)
		}
		var have []string
		for _, p := range got {
			have = append(have, p.SHA256)
		}
		if fmt.Sprint(have) != fmt.Sprint(sums) {
			t.Errorf("%s: %s %.80q, want those of %q", tenant, what, have, texts)
		}
	}
	if s.InForce == nil {
		t.Errorf("%s has nothing in force, want %q", tenant, inForce)
		return
	}
	want("in force", []Policy{*s.InForce}, []string{inForce})
	want("before", s.Previous, previous)
	want("held", s.Held, held)
}

func verify(t *testing.T, folder string, keys ...provenance.Key) *Report {
	t.Helper()
	r, err := Verify(folder, keys, func(*Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantSound(t *testing.T, folder string, entries int, keys ...provenance.Key) *Report {
	t.Helper()
	r := verify(t, folder, keys...)
	if r.Fault != nil || r.Entries != entries {
		t.Errorf("%d entries, %v; want %d without a fault", r.Entries, r.Fault, entries)
	}
	return r
}

func TestHistory(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"in a folder": filepath.Join(t.TempDir(), "new", "state"), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			h := open(t, folder, nil)
			save(t, h, "acme", "one")
			save(t, h, "acme", "two")
			save(t, h, "east", "one")
			third := save(t, h, "acme", "three")
			wantState(t, h, "acme", "three", []string{"one", "two"}, nil)
			rollBack(t, h, "acme")
			wantState(t, h, "acme", "two", []string{"one"}, []string{"three"})
			rollBack(t, h, "acme")
			wantState(t, h, "acme", "one", nil, []string{"three", "two"})
			if _, err := h.Append(Entry{Kind: Kill, Tenant: "acme"}, Receipt{}); err != nil {
				t.Fatal(err)
			}
			if folder != "" {
				h = open(t, folder, nil)
			}
			wantState(t, h, "acme", "one", nil, []string{"three", "two"})
			wantState(t, h, "east", "one", nil, nil)
			if acme, east := h.State("acme"), h.State("east"); !acme.Killed || !acme.Returned || east.Killed || east.Returned {
				t.Error("the kill and the rollback are not those of acme alone")
			}
			if save(t, h, "acme", "one"); !h.State("acme").Returned { // as with other may settings
				t.Error("a policy that was returned to does not count as that once it was recorded again")
			}
			for _, kind := range []Kind{Revive, Retry} {
				if _, err := h.Append(Entry{Kind: kind, Tenant: "acme"}, Receipt{}); err != nil {
					t.Fatal(err)
				}
			}
			if s := h.State("acme"); s.Killed || s.Held != nil {
				t.Errorf("after revive and retry: %+v", s)
			}
			save(t, h, "acme", "two")
			wantState(t, h, "acme", "two", []string{"one"}, nil)
			if h.State("acme").Returned {
				t.Error("a policy that came into force after a rollback counts as one that was returned to")
			}
			for _, text := range []string{"one", "two"} {
				if got, err := h.Content(Sum([]byte(text))); string(got) != text || err != nil {
					t.Errorf("content of %q: %q, %v", text, got, err)
				}
			}
			if _, err := h.Content(third.To.SHA256); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("content that nothing refers to: %v", err)
			}
			if got := h.Recent("acme", 2); len(got) != 2 || got[0].Kind != AtOnce || got[0].Number != 11 || got[1].Kind != Retry {
				t.Errorf("recent: %+v", got)
			}
			if folder != "" {
				wantSound(t, folder, 11)
			}
		})
	}
}

// Of each tenant, as many policies are kept as the operator said.
func TestKeep(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := openKeeping(t, folder, 3, nil)
	for i := range 6 {
		save(t, h, "acme", fmt.Sprint(i))
	}
	wantState(t, h, "acme", "5", []string{"3", "4"}, nil)
	if files, err := os.ReadDir(filepath.Join(folder, "policies")); err != nil || len(files) != 3 {
		t.Errorf("%d files are kept, %v; want 3", len(files), err)
	}
}

// Every way of changing a file is found, with the line.
func TestChangesAreFound(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := open(t, folder, nil)
	for i := range 5 {
		save(t, h, "acme", fmt.Sprint(i))
	}
	sound, err := os.ReadFile(filepath.Join(folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(sound, []byte("\n"))[:5]
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	flipped := func(i int) []byte {
		all := bytes.Clone(sound)
		at := len(join(lines[:i]...)) + len(lines[i])/2
		all[at] ^= 1
		return all
	}
	for name, c := range map[string]struct {
		text []byte
		line int
	}{
		"a line removed":         {join(lines[0], lines[2], lines[3], lines[4]), 2},
		"the first line removed": {join(lines[1:]...), 1},
		"the last line removed":  {join(lines[:4]...), 5},
		"two lines swapped":      {join(lines[0], lines[2], lines[1], lines[3], lines[4]), 2},
		"a line twice":           {join(lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]), 3},
		"a line inserted":        {join(lines[0], []byte("{\"n\":2}\n"), lines[1], lines[2], lines[3], lines[4]), 2},
		"emptied":                {nil, 1},
		"a foreign line":         {join(lines[0], []byte("\x00\xff"), lines[1]), 2},
		"a number changed":       {bytes.Replace(sound, []byte(`"n":5`), []byte(`"n":6`), 1), 5},
	} {
		if err := os.WriteFile(filepath.Join(folder, fileName), c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, folder); r.Fault == nil || r.Fault.Line != c.line {
			t.Errorf("%s: found %v, want line %d", name, r.Fault, c.line)
		}
	}
	for i := range lines {
		if err := os.WriteFile(filepath.Join(folder, fileName), flipped(i), 0o600); err != nil {
			t.Fatal(err)
		}
		// The line itself if it is no longer an entry or the last one, else the one behind it.
		if r := verify(t, folder); r.Fault == nil || r.Fault.Line != i+1 && r.Fault.Line != i+2 {
			t.Errorf("a bit of line %d flipped: found %v", i+1, r.Fault)
		}
	}
}

// A damaged file is kept, and a new chain continues from the entries before the damage. The damage
// stays visible.
func TestDamagedHistory(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := open(t, folder, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	save(t, h, "acme", "three")
	path := filepath.Join(folder, fileName)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Replace(sound, []byte(`"n":3`), []byte(`"n":4`), 1)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	h = open(t, folder, nil)
	wantState(t, h, "acme", "two", []string{"one"}, nil)
	if p := h.Position(); p.Damaged == nil || p.Damaged.Line != 3 || p.Damaged.File != "history-000001.jsonl" {
		t.Errorf("damage: %v", p.Damaged)
	}
	if kept, err := os.ReadFile(filepath.Join(folder, "history-000001.jsonl")); err != nil || !bytes.Equal(kept, damaged) {
		t.Errorf("the damaged file was not kept: %v", err)
	}
	if e := save(t, h, "acme", "four"); e.Number <= 4 {
		t.Errorf("number %d occurs twice", e.Number)
	}
	wantState(t, open(t, folder, nil), "acme", "four", []string{"one", "two"}, nil)
	if r := verify(t, folder); r.Fault == nil || r.Fault.File != "history-000001.jsonl" || r.Fault.Line != 3 {
		t.Errorf("found %v, want line 3 of the file before", r.Fault)
	}
}

// A full file is followed by another one, which a history can be opened with alone.
func TestFullFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := open(t, folder, nil)
	h.maxFile = 2000
	for i := range 12 {
		save(t, h, "acme", fmt.Sprint(i))
	}
	r := wantSound(t, folder, 12+len(verify(t, folder).Files)-1)
	if len(r.Files) < 3 {
		t.Fatalf("files %q, want some", r.Files)
	}
	h = open(t, folder, nil)
	if s := h.State("acme"); len(s.Previous) != 11 {
		t.Errorf("%d policies are known from before, want 11", len(s.Previous))
	}
	if err := os.Remove(filepath.Join(folder, r.Files[0])); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, folder); r.Fault == nil || r.Fault.Line != 1 {
		t.Errorf("without the first file: %v, want a fault in line 1 of the next", r.Fault)
	}
}

// Two processes write to one folder: no entry is lost, and each knows those of the other.
func TestSharedFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var writers sync.WaitGroup
	for i := range 3 {
		h := open(t, folder, nil)
		writers.Go(func() {
			for n := range 10 {
				p, file := policyOf(fmt.Sprint(i, n))
				if _, err := h.Append(Entry{Kind: AtOnce, Tenant: fmt.Sprint(i), To: p}, Receipt{}, file); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	wantSound(t, folder, 30)
	h := open(t, folder, nil)
	for i := range 3 {
		if s := h.State(fmt.Sprint(i)); len(s.Previous) != 9 {
			t.Errorf("of tenant %d, %d policies are known from before, want 9", i, len(s.Previous))
		}
	}
}

// With a key, receipts and the end of the chain are signed; without it they are statements.
func TestSignatures(t *testing.T) {
	t.Parallel()
	private, _, _, err := provenance.Generate()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := provenance.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	h := open(t, folder, signer)
	save(t, h, "acme", "one")
	e := save(t, h, "acme", "two")
	if r := wantSound(t, folder, 2, signer.Key()); !r.Signed {
		t.Error("it is not taken for signed")
	}
	text, signers, err := ReadReceipt(e.Receipt, []provenance.Key{signer.Key()})
	if err != nil || len(signers) != 1 || signers[0] != signer.ID {
		t.Fatalf("receipt: signers %q, %v", signers, err)
	}
	var s Statement
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	two, _ := policyOf("two")
	if s.Type != statementType || s.PredicateType != predicateType || len(s.Subject) != 1 || s.Subject[0].Digest["sha256"] != two.SHA256 ||
		s.Predicate.Release != 2 || s.Predicate.Result != AtOnce || s.Predicate.From == nil || s.Predicate.Tenant != "acme" {
		t.Errorf("statement: %s", text)
	}

	// Without the key, nobody can write an end that fits.
	other := open(t, t.TempDir(), nil)
	save(t, other, "acme", "one")
	for name, replace := range map[string]func() error{
		"an end without a signature": func() error {
			return os.WriteFile(filepath.Join(folder, headFile), []byte(`{"n":1,"sha256":"x"}`), 0o600)
		},
		"a history without signatures": func() error {
			return errors.Join(copyFile(other.path(fileName), h.path(fileName)), copyFile(other.path(headFile), h.path(headFile)))
		},
	} {
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, folder, signer.Key()); r.Signed || r.Fault == nil {
			t.Errorf("%s: signed %v, %v", name, r.Signed, r.Fault)
		}
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// The same sums show the same policy, whatever it may do.
func TestSame(t *testing.T) {
	p := &Policy{SHA256: "a", Config: "b", Identity: "1"}
	if !p.Same(&Policy{SHA256: "a", Config: "b", Identity: "2"}) || p.Same(&Policy{SHA256: "a"}) || p.Same(nil) || (*Policy)(nil).Same(p) {
		t.Error("Same compares something else than file and configuration")
	}
	if got := (&Policy{SHA256: strings.Repeat("1f", 32), Version: 7}).Short(); got != "v7 1f1f1f1f" {
		t.Errorf("short: %q", got)
	}
}

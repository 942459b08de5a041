package history

import (
	"encoding/json"
	"os"
	"testing"
)

// After a crash before any change of a file, an entry about a release is there with all that it
// leads to, or is not, and every policy that the state names is kept.
func TestCrashesOfReleases(t *testing.T) {
	t.Parallel()
	two, _ := policyOf("two")
	three, candidate := policyOf("three")
	four, other := policyOf("four")
	base := t.TempDir()
	h := openKeeping(t, base, 2, nil)
	save(t, h, "acme", "one")
	save(t, h, "acme", "two")
	begun, err := h.Append(Entry{Kind: Begin, Tenant: "acme", From: two, To: three, Stage: &Progress{State: "shadow"}}, Receipt{}, candidate)
	if err != nil {
		t.Fatal(err)
	}
	for name, entry := range map[string]Entry{
		"stage":            {Kind: Stage, Stage: &Progress{State: "stage", Share: 0.01}},
		"stop":             {Kind: Stage, Stage: &Progress{State: "shadow", Stopped: true}},
		"done":             {Kind: Done, From: two, To: three},
		"rolled back":      {Kind: RolledBack, From: three, To: two, Held: three},
		"begin of another": {Kind: Begin, From: two, To: four, Stage: &Progress{State: "shadow"}},
		"at once":          {Kind: AtOnce, From: two, To: four},
	} {
		for point, over := 1, false; !over; point++ {
			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			h := openKeeping(t, folder, 2, nil)
			h.start = func(write func()) { write() } // so that the panic below is this test's
			h.maxFile = 1500                         // so that files are exchanged
			before := h.State("acme")
			left := point
			h.crash = func() {
				if left--; left == 0 {
					panic(crashed{})
				}
			}
			e := entry
			if e.Tenant = "acme"; e.Kind != Begin && e.Kind != AtOnce {
				e.Release = begun.Number
			}
			over = func() (over bool) {
				defer func() { over = recover() == nil }()
				h.Append(e, Receipt{}, other)
				return
			}()
			h = openKeeping(t, folder, 2, nil)
			if r := verify(t, folder); r.Fault != nil {
				t.Errorf("%s, crash point %d: %v", name, point, r.Fault)
			}
			after := State{"acme": &before}
			was := textOf(t, before)
			e.Number = h.Position().Number
			after.apply(&e, 2)
			now := h.State("acme")
			got, want := textOf(t, now), textOf(t, *after["acme"])
			if got != was && got != want || over && got != want {
				t.Errorf("%s, crash point %d:\n%s\nis neither\n%s\nnor\n%s", name, point, got, was, want)
			}
			named := append(now.Previous, now.Held...)
			if named = append(named, *now.InForce); now.Underway != nil {
				named = append(named, now.Underway.Candidate)
			}
			for _, p := range named {
				if _, err := h.Content(p.SHA256); err != nil {
					t.Errorf("%s, crash point %d: %v", name, point, err)
				}
			}
		}
	}
}

func textOf(t *testing.T, s Tenant) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

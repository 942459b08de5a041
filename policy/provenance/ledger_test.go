package provenance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/policy/statefolder"
)

// TestMain also runs the other processes that share a ledger.
func TestMain(m *testing.M) {
	if folder := os.Getenv("LEDGER_OF_TEST"); folder != "" {
		recordAll(folder, os.Getenv("LEDGER_TENANT"))
		return
	}
	os.Exit(m.Run())
}

// recordAll records one version after the other, and prints each when it is recorded.
func recordAll(folder, tenant string) {
	l := patientLedger(folder)
	for version := uint64(1); version <= versionsOfProcess; version++ {
		if err := l.Record(tenant, "p.wasm", version, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(version)
	}
}

// patientLedger returns a ledger that waits for the lock as long as a busy machine makes
// it wait.
func patientLedger(folder string) *Ledger {
	l := NewLedger(folder)
	l.lockTimeout = 5 * time.Minute
	return l
}

func recorder(t *testing.T, folder, tenant string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "LEDGER_OF_TEST="+folder, "LEDGER_TENANT="+tenant)
	return c
}

func wantFloor(t *testing.T, l *Ledger, tenant, name string, want uint64) {
	t.Helper()
	if got, err := l.Floor(tenant, name); got != want || err != nil {
		t.Errorf("floor of %s of %s is %d, %v; want %d", name, tenant, got, err, want)
	}
}

func record(t *testing.T, l *Ledger, tenant, name string, version, downgradeTo uint64) {
	t.Helper()
	if err := l.Record(tenant, name, version, downgradeTo); err != nil {
		t.Fatal(err)
	}
}

func TestLedger(t *testing.T) {
	for name, folder := range map[string]string{"in a folder": filepath.Join(t.TempDir(), "new", "state"), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger(folder)
			wantFloor(t, l, "acme", "p.wasm", 0)
			record(t, l, "acme", "p.wasm", 5, 0)
			wantFloor(t, l, "acme", "p.wasm", 5)
			wantFloor(t, l, "acme", "q.wasm", 0)
			wantFloor(t, l, "east", "p.wasm", 0)
			record(t, l, "acme", "p.wasm", 4, 0) // the floor never falls by itself
			wantFloor(t, l, "acme", "p.wasm", 5)
			record(t, l, "acme", "p.wasm", 4, 3) // nor by downgradeTo of another version
			record(t, l, "acme", "p.wasm", 4, 9)
			wantFloor(t, l, "acme", "p.wasm", 5)
			record(t, l, "acme", "p.wasm", 3, 3)
			wantFloor(t, l, "acme", "p.wasm", 3)
			record(t, l, "acme", "p.wasm", 6, 3)
			record(t, l, "east", "p.wasm", MaxVersion, 0)
			wantFloor(t, l, "acme", "p.wasm", 6)
			want := uint64(6)
			if folder == "" {
				want = 0 // forgotten
			}
			wantFloor(t, NewLedger(folder), "acme", "p.wasm", want)
		})
	}
}

func TestLedgerFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	l := NewLedger(folder)
	record(t, l, "acme", "p.wasm", 5, 0)
	path := filepath.Join(folder, "versions.json")
	text, err := os.ReadFile(path)
	if want := "{\n  \"format\": 1,\n  \"tenants\": {\n    \"acme\": {\n      \"p.wasm\": 5\n    }\n  }\n}\n"; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, "acme", "p.wasm", 5, 5)
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again though nothing changed, %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
}

// If the ledger cannot be read, every method returns an error, and the file stays.
func TestDamagedLedger(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "is damaged: it is not JSON",
		`{"format":1,"tenants":{`:   "is damaged: it is not JSON",
		"null":                      "has format 0 and not 1",
		`{"format":2,"tenants":{}}`: "has format 2 and not 1",
		`{"format":1}`:              "or no tenants",
		`{"format":1,"tenants":{"acme":{"p.wasm":-1}}}`:              "is damaged: json: cannot unmarshal number -1",
		`{"format":1,"tenants":{"acme":{"p.wasm":7,"p.wasm":1}}}`:    `is damaged: a key is there twice`,
		`{"format":1,"tenants":{"acme":{}},"more":1}`:                "unknown field",
		`{"format":1,"tenants":{}}` + strings.Repeat(" ", maxLedger): "is larger than",
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, "versions.json")
		write(t, path, []byte(text), 0o600)
		l := NewLedger(folder)
		if got, err := l.Floor("acme", "p.wasm"); got != 0 || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("floor with %.60q: %d, %v; want %q", text, got, err, want)
		}
		if err := l.Record("acme", "p.wasm", 9, 0); err == nil || !strings.Contains(err.Error(), "remember version 9 of p.wasm of tenant acme: "+path) {
			t.Errorf("record with %.60q: %v", text, err)
		}
		if _, err := l.Floor("acme", "p.wasm"); err == nil {
			t.Errorf("%.60q: having recorded something, it is no longer damaged", text)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%.60q became %.60q, %v", text, after, err)
		}
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "versions.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewLedger(folder).Floor("acme", "p.wasm"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("of a folder: %v", err)
	}
}

// A version that cannot be written counts in this process, and is written later.
func TestLedgerThatCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	l := NewLedger(folder)
	record(t, l, "acme", "p.wasm", 5, 0)
	record(t, l, "acme", "q.wasm", 5, 0)
	obstacle := filepath.Join(folder, "versions.json.next")
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                 string
		version, downgradeTo uint64
	}{{"p.wasm", 7, 0}, {"q.wasm", 3, 3}, {"r.wasm", 2, 0}} {
		if err := l.Record("acme", c.name, c.version, c.downgradeTo); err == nil {
			t.Fatalf("recorded %v where nothing can be written", c)
		}
		wantFloor(t, l, "acme", c.name, c.version)
	}
	wantFloor(t, NewLedger(folder), "acme", "p.wasm", 5)
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	record(t, NewLedger(folder), "acme", "p.wasm", 8, 0) // by another process meanwhile
	wantFloor(t, l, "acme", "p.wasm", 8)
	record(t, l, "east", "p.wasm", 1, 0)
	fresh := NewLedger(folder)
	wantFloor(t, fresh, "acme", "p.wasm", 8)
	wantFloor(t, fresh, "acme", "q.wasm", 3)
	wantFloor(t, fresh, "acme", "r.wasm", 2)
	wantFloor(t, fresh, "east", "p.wasm", 1)

	// Once it is written, the file counts again.
	record(t, fresh, "acme", "q.wasm", 6, 0)
	wantFloor(t, l, "acme", "q.wasm", 6)
}

// A process that is suspended while it holds the lock does not block others for ever.
func TestLedgerDoesNotWaitForEver(t *testing.T) {
	folder := t.TempDir()
	unlock, err := statefolder.Lock(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := statefolder.Lock(folder, 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "another process has it") {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	unlock, err = statefolder.Lock(folder, 0)
	if err != nil {
		t.Fatalf("after it was unlocked: %v", err)
	}
	unlock()
}

// Several goroutines, ledgers and processes write to one folder without losing a version.
func TestLedgerRaces(t *testing.T) {
	folder := t.TempDir()
	processes := []*exec.Cmd{recorder(t, folder, "north"), recorder(t, folder, "north"), recorder(t, folder, "south")}
	for _, c := range processes {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, l := range []*Ledger{patientLedger(folder), patientLedger(folder)} {
		for _, tenant := range []string{"north", "east", "west"} {
			all.Go(func() {
				for version := uint64(1); version <= versionsOfGoroutine; version++ {
					if err := l.Record(tenant, "p.wasm", version, 0); err != nil {
						t.Error(err)
					}
					if floor, err := l.Floor(tenant, "p.wasm"); floor < version || err != nil {
						t.Errorf("recorded %d of %s, and the floor is %d, %v", version, tenant, floor, err)
					}
				}
			})
		}
	}
	all.Wait()
	for _, c := range processes {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	l := NewLedger(folder)
	for tenant, want := range map[string]uint64{"north": versionsOfProcess, "south": versionsOfProcess, "east": versionsOfGoroutine, "west": versionsOfGoroutine} {
		wantFloor(t, l, tenant, "p.wasm", want)
	}
}

// After a process is killed, all versions that it had recorded are stored.
func TestLedgerCrashes(t *testing.T) {
	folder := t.TempDir()
	for after := range crashes {
		c := recorder(t, folder, fmt.Sprint(after))
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		recorded := uint64(0)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if recorded, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if recorded == uint64(1+3*after) {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = c.Wait() // it was killed
		if floor, err := NewLedger(folder).Floor(fmt.Sprint(after), "p.wasm"); floor < recorded || err != nil {
			t.Errorf("it had recorded %d, and the floor is %d, %v", recorded, floor, err)
		}
	}
	// An incomplete file that a crash left behind does no harm.
	write(t, filepath.Join(folder, "versions.json.next"), []byte(`{"form`), 0o600)
	l := NewLedger(folder)
	record(t, l, "acme", "p.wasm", 2, 0)
	wantFloor(t, NewLedger(folder), "acme", "p.wasm", 2)
}

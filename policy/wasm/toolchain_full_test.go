//go:build full

package wasm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// goGuest builds testdata/go_guest as its author would.
func goGuest(t testing.TB) []byte {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal("the go command is not in the PATH: install Go")
	}
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command(tool, "build", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, ".")
	build.Dir = filepath.Join("testdata", "go_guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=")
	return built(t, build, out)
}

// cGuest builds testdata/c_guest.
func cGuest(t testing.TB) []byte {
	t.Helper()
	tool, err := exec.LookPath("clang")
	if err != nil {
		t.Fatal("clang is not installed (Debian: clang)")
	}
	if _, err := exec.LookPath("wasm-ld"); err != nil {
		t.Fatal("wasm-ld is not installed (Debian: lld)")
	}
	out := filepath.Join(t.TempDir(), "guest.wasm")
	return built(t, exec.Command(tool, "--target=wasm32", "-O2", "-ffreestanding", "-nostdlib",
		"-Wl,--no-entry", "-Wl,--stack-first", "-Wl,-z,stack-size=8192",
		"-o", out, filepath.Join("testdata", "c_guest", "guest.c")), out)
}

func built(t testing.TB, build *exec.Cmd, out string) []byte {
	t.Helper()
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, output)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestGuestInStockGo(t *testing.T) {
	module := goGuest(t)
	var lines recordedLog
	limits := DefaultLimits()
	limits.LoadTime = 5 * time.Minute // with -race
	e := newEngine(t, limits, lines.log)
	p := loadModule(t, e, "go", module, []byte(`{"session": 42, "prefix": "hi "}`))

	byIDs, err := p.Classify(pdu.SID_MSG, pdu.CID_MSG_DATA)
	if err != nil || byIDs != abi.InspectBodyOf {
		t.Fatalf("classify: got %v, %v", byIDs, err)
	}
	for text, want := range map[string]policy.Verdict{"hi there": toSession(42), "ho there": abi.Drop} {
		if got, err := p.Inspect(byIDs, question([]byte(text))); err != nil || got != want {
			t.Errorf("inspect %q: got %v, %v, want %v", text, got, err, want)
		}
	}
	q := question(nil)
	if got, err := p.Inspect(header, q); err != nil || got != toSession(77) {
		t.Errorf("inspect: got %v, %v", got, err)
	}

	q.Attributes = abi.AttributeMaster
	_, err = p.Inspect(header, q)
	wantFault(t, err, policy.FaultTrap, "unreachable")
	if output := strings.Join(lines.logged(), "\n"); !strings.Contains(output, "go 2 panic: a master at the gates") {
		t.Errorf("the log has %q, want the guest's panic", output)
	}
	q.Attributes = 0
	if got, err := p.Inspect(header, q); err != nil || got != toSession(77) {
		t.Errorf("inspect after a panic: got %v, %v", got, err)
	}

	_, err = e.Load(context.Background(), "tenant-a", module, []byte(`{"session": "none"}`))
	wantGate(t, err, GateConfigure, "with 1")
	if output := strings.Join(lines.logged(), "\n"); !strings.Contains(output, "tenant-a 2 configuration: json: cannot unmarshal") {
		t.Errorf("the log has %q, want the error of configure", output)
	}
}

func TestGuestInC(t *testing.T) {
	p := loadModule(t, newEngine(t, DefaultLimits(), nil), "c", cGuest(t), nil)
	for command, want := range map[pdu.CommandID]policy.Verdict{
		pdu.CID_OTHER_HEARTBEAT: abi.Consume, pdu.CID_MSG_DATA: body, 0x0215: abi.BroadcastAll, 0x7777: abi.Drop,
	} {
		if got, err := p.Classify(0, command); err != nil || got != want {
			t.Errorf("classify %v: got %v, %v, want %v", command, got, err, want)
		}
	}
	if got, err := p.Inspect(body, question([]byte{100, 200})); err != nil || got != toSession(300) {
		t.Errorf("inspect_body: got %v, %v", got, err)
	}
	_, err := p.Inspect(body, question(make([]byte, 5000)))
	wantFault(t, err, policy.FaultBody, "no room for a body of 5000 bytes")
}

// BenchmarkCall is the bare call of classify, as it is and as it was before
// metering.
func BenchmarkCall(b *testing.B) {
	module := cGuest(b)
	b.Run("metered", func(b *testing.B) {
		p := loadModule(b, newEngine(b, DefaultLimits(), nil), "C", module, nil)
		in := p.slots[0].in
		b.ReportAllocs()
		for b.Loop() {
			if _, err := in.callClassify(3, 0x0301); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unmetered", func(b *testing.B) {
		ctx := context.Background()
		rt := wazero.NewRuntime(ctx)
		defer rt.Close(ctx)
		m, err := rt.Instantiate(ctx, module)
		if err != nil {
			b.Fatal(err)
		}
		in := &instance{module: m, classify: m.ExportedFunction(abi.Classify)}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := in.callClassify(3, 0x0301); err != nil {
				b.Fatal(err)
			}
		}
	})
}

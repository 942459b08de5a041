//go:build full || race

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/cmd/switchyard/dialogue"
	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate/authority"
)

// Peers notice nothing of an upgrade: not in the middle of a PDU, not in what is present, and not in
// the counts.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	a, b, away := u.dial(), u.dial(), u.dial()
	a.say(pdutest.Online(stat(7)))
	a.settle()
	long := pdutest.Raw(pdu.CID_MSG_DATA, 1, bytes.Repeat([]byte("x"), 100_000))
	away.Close()
	u.expect("session closed", `"session":3`)
	for i := range 3 {
		a.say(long[:50_000])
		if last := u.mustUpgrade(); last.Result != api.UpgradeDone || last.Moved != 2 || last.Drained+last.Closed != 0 {
			t.Errorf("upgrade %d: %+v", i, last)
		}
		a.say(long[50_000:])
		b.expect(long)
		b.say(pdutest.StatusRequest(9, 1, nil, 7))
		b.expect(pdutest.StatusResponse(9, 1, nil, pdutest.UserStat(7, pb.UserStatType_USER_STATUS_ONLINE)))
	}
	from := u.logged()
	u.dial().Close()
	u.expectFrom(from, `"session":4`, "session closed")
	s, err := u.admin().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Each dial settles; a has told of a user and settled once more; then three long PDUs and questions.
	if want := uint64(4 + 2 + 2*3); s.Totals.Received != want || s.Totals.Sessions != 2 {
		t.Errorf("%d PDUs received in %d sessions, want %d in 2", s.Totals.Received, s.Totals.Sessions, want)
	}
	u.stop()
	u.expectFrom(from, `"joined":4`, "sessions")
}

func stat(user uint32) *pb.ServerUserStat {
	return pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS)
}

// The address of metrics moves along: no scrape is refused, and the counts continue.
func TestUpgradeOfTheMetricsAddress(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t, "--set", "metrics.address=127.0.0.1:0")
	u.dial()
	address := u.expect(`"msg":"metrics"`)["address"].(string)
	for i := range 2 {
		if status, text := scrape(t, "http://"+address+"/metrics", "", nil); status != 200 || !strings.Contains(text, "\nswitchyard_connections_opened_total{tenant=\"default\"} 1\n") {
			t.Fatalf("after %d upgrades: %d %s", i, status, text)
		}
		u.mustUpgrade()
	}
	if status, text := scrape(t, "http://"+address+"/metrics", "", nil); status != 200 || !strings.Contains(text, "switchyard_handovers_total{result=\"done\"} 2\n") {
		t.Errorf("after two upgrades: %d %s", status, text)
	}
}

// TLS at the admin address continues in the new process, with the certificate that is there then.
func TestUpgradeOfAdminTLS(t *testing.T) {
	t.Parallel()
	folder, ca := t.TempDir(), authority.New(t, "CA")
	certificate, key := ca.Server("127.0.0.1").Write(folder, "hub")
	u := startUpgradable(t, "--set", "admin.tls.certificate="+certificate, "--set", "admin.tls.key="+key)
	address := u.expect(`"msg":"admin"`, "127.0.0.1")["address"].(string)
	u.mustUpgrade()
	if status, text := scrape(t, "https://"+address+"/api/v1/upgrade", "", &tls.Config{RootCAs: ca.Pool()}); status != 200 || !strings.Contains(text, `"result": "done"`) {
		t.Errorf("after an upgrade: %d %s", status, text)
	}
}

// A session that moves has one line for its beginning, by the old process, and one for its end, by the
// new one.
func TestUpgradeOfTheAccessLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	u := startUpgradable(t, "--set", "log.access_file="+path)
	c := u.dial()
	if lines := awaitAccess(t, path, 1); lines[0].Event != "opened" {
		t.Errorf("got %+v", lines[0])
	}
	u.mustUpgrade()
	c.settle()
	c.Close()
	if l := awaitAccess(t, path, 2)[1]; l.Event != "closed" || l.Session != 1 || l.Peer != c.LocalAddr().String() || l.Reason != "peer-closed" || l.PDUsIn == nil || *l.PDUsIn != 2 {
		t.Errorf("got %+v", l)
	}
}

// What is due to a peer that lags moves along, from the byte that the kernel did not take.
func TestUpgradeOfALaggingPeer(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	a, b := u.dial(), u.dial()
	sent := u.lag(a, b, 300_000, 1)
	if last := u.mustUpgrade(); last.Moved != 2 {
		t.Errorf("%+v", last)
	}
	b.expect(sent...)
	b.settle()
}

// The signal upgrades as well, while traffic continues.
func TestUpgradeBySignal(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	tr := startStream(u.process, 20, 4, 5*time.Millisecond)
	for i := range 2 {
		from, pid := u.logged(), u.cmd.Process.Pid
		if i > 0 {
			pid = u.last().PID
		}
		u.upgradeBySignal(pid)
		u.expectFrom(from, "upgraded", `"moved":20`)
		eventually(t, func() bool { return u.last().Result == api.UpgradeDone }, func() string { return "no upgrade" })
	}
	tr.finish()
}

// A check starts the same program, which could take over.
func TestUpgradeCheck(t *testing.T) {
	t.Parallel()
	r := startUpgradable(t)
	code, out := r.upgrade("--check")
	if code != exitStopped || !strings.Contains(out, "can take over from") {
		t.Errorf("exit code %d, %s", code, out)
	}
	r.isServed()
}

// startOf returns the first MiB of a file.
func startOf(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := make([]byte, 1<<20)
	if _, err := io.ReadFull(f, start); err != nil {
		t.Fatal(err)
	}
	return start
}

// A program that cannot take over changes nothing, and the error says at which step it failed. Without
// the tag full, one program fails in each step.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	exe := executable(t)
	truncated := filepath.Join(t.TempDir(), "truncated")
	program := startOf(t, exe)
	writeProgram(t, truncated, program[:4096], 0o755)
	copy(program[18:], "\xf3\x00") // the machine in the header of ELF: EM_RISCV
	foreign := filepath.Join(t.TempDir(), "foreign")
	writeProgram(t, foreign, program, 0o755)
	unexecutable := filepath.Join(t.TempDir(), "unexecutable")
	writeProgram(t, unexecutable, program[:4096], 0o644)
	itself := exe + ` "$@"`
	r := startUpgradable(t)
	type failure struct{ name, program, want string }
	failures := []failure{
		{"missing", "/nonexistent/switchyard", "program: run '/nonexistent/switchyard version'"},
		{"another program", script(t, "echo hello"), `prints "hello", so it is not switchyard`},
		{"another format", script(t, `echo "switchyard v9"; echo "handover 999"`), "another format of the handover (handover 999)"},
		{"exits", script(t, `[ "$1" = version ] && exec `+itself+`; exit 3`), "offer: the new process ended"},
		{"refuses its configuration", script(t, `SWITCHYARD_PEER__TIMEOUT=soon exec `+itself), "offer: the new process refused: environment SWITCHYARD_PEER__TIMEOUT"},
		{"other addresses", script(t, `SWITCHYARD_ADMIN__ADDRESS= exec `+itself), "other addresses: admin address none instead of admin address 127.0.0.1:0"},
	}
	if full {
		failures = append(failures, []failure{
			{"not executable", unexecutable, "permission denied"},
			{"truncated", truncated, "program: run"},
			{"for another architecture", foreign, "exec format error"},
			{"another program that fails", script(t, "exit 9"), "exit status 9, so it is not switchyard"},
			{"prints without end", script(t, "exec yes"), "it prints more than 4096 bytes"},
			{"leaves a process behind", script(t, "sleep 3600 & echo hello"), `prints "hello", so it is not switchyard`},
			{"from before", script(t, `echo "switchyard v0.1"`), "switchyard v0.1 at"},
			{"does not listen", script(t, `[ "$1" = version ] && exec `+itself+`; exec 3>&-; exit 4`), "exit status 4"},
			{"few descriptors", script(t, `ulimit -n 90; exec `+itself), "it may have 90 descriptors open and needs 100"},
		}...)
	}
	for _, c := range failures {
		t.Run(c.name, func(t *testing.T) {
			code, out := r.upgrade("--program", c.program)
			if code != exitInternal || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, want %d; %s\nwant %s", code, exitInternal, out, c.want)
			}
			r.isServed()
		})
	}
}

// The recorded dialogues are answered with the same bytes if there is an upgrade in the middle of each.
// One server answers every fourth, each with a tenant of its own; TestDialoguesAcrossManyUpgrades plays
// all.
func TestDialoguesAcrossAnUpgrade(t *testing.T) {
	t.Parallel()
	all, err := dialogue.Load("dialogue/testdata")
	if err != nil {
		t.Fatal(err)
	}
	dialogues := everyFourth(all)
	config := filepath.Join(t.TempDir(), "config.toml")
	write(t, config, withDialogues(len(dialogues)))
	u := startUpgradable(t, "--config", config)
	addresses := dialogueAddresses(u.process, len(dialogues))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	var halfway, playing sync.WaitGroup
	upgraded := make(chan struct{})
	for i, d := range dialogues {
		halfway.Add(1)
		arrive := sync.OnceFunc(halfway.Done)
		playing.Go(func() {
			defer arrive() // if it fails before
			got, err := d.PlayWith(ctx, addresses[i], func(step int) {
				if step == d.Steps()/2 {
					arrive()
					<-upgraded
				}
			})
			if err := errors.Join(err, dialogue.Compare(d.Want, got)); err != nil {
				t.Errorf("dialogue %s: %v", d.Name, err)
			}
		})
	}
	resume := sync.OnceFunc(func() { close(upgraded) })
	defer playing.Wait() // also if the upgrade fails
	defer resume()
	halfway.Wait()
	u.mustUpgrade()
	resume()
	playing.Wait()
	u.stop()
}

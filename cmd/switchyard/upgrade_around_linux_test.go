//go:build full || race

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
)

// What surrounds upgrades: supervisors, operators, policies, and connections that are not plain.

// A token lets a client upgrade, and not name another program.
func TestUpgradeOverTCP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	write(t, token, "operate-operate-operate\n")
	u := startUpgradable(t, "--set", "admin.operate_token_file="+token)
	address := u.expect(`"msg":"admin"`, "127.0.0.1")["address"].(string)
	empty := script(t, `SWITCHYARD_ADMIN__READ_TOKEN_FILE=/dev/null exec `+executable(t)+` "$@"`)
	if code, out := u.upgrade("--check", "--program", empty); code != exitInternal || !strings.Contains(out, "offer: the new process refused: environment SWITCHYARD_ADMIN__READ_TOKEN_FILE: admin.read_token_file: ") {
		t.Errorf("a program without a token: exit code %d, %s", code, out)
	}
	u.socket = filepath.Join(dir, "none")
	over := []string{"--set", "admin.address=" + address, "--token-file", token}
	if code, out := u.upgrade(append(over, "--program", "/bin/true")...); code != exitUsage || !strings.Contains(out, "another path is taken from admin.socket only") {
		t.Errorf("another program: exit code %d, %s", code, out)
	}
	if code, out := u.upgrade(over...); code != exitStopped || !strings.Contains(out, "0 moved") {
		t.Errorf("exit code %d, %s", code, out)
	}
}

// held writes a program that starts when release is called.
func held(t *testing.T) (program string, release func()) {
	t.Helper()
	exe := executable(t)
	flag := filepath.Join(t.TempDir(), "go")
	return script(t, fmt.Sprintf(`while [ "$1" != version ] && [ ! -e %s ]; do sleep 0.01; done; exec %s "$@"`, flag, exe)),
		func() { write(t, flag, "") }
}

// While a new program starts, another upgrade is refused, and a reload waits for the end.
func TestUpgradeWhileBusy(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	program, release := held(t)
	first := make(chan int)
	go func() {
		code, _ := u.upgrade("--program", program)
		first <- code
	}()
	eventually(t, func() bool { return u.last().Result == api.UpgradeRunning }, func() string { return "it is not under way" })
	if code, out := u.upgrade(); code != exitNotYet || !strings.Contains(out, "is under way; wait for its end") {
		t.Errorf("a second upgrade: exit code %d, %s", code, out)
	}
	u.signal(syscall.SIGHUP)
	release()
	if code := <-first; code != exitStopped {
		t.Errorf("the first upgrade: exit code %d", code)
	}
	u.expect("policy unchanged")
	if log := u.log(); strings.Index(log, "policy unchanged") < strings.Index(log, `"upgraded"`) {
		t.Error("the reload did not wait")
	}
	u.isServed()
}

// A stop ends an upgrade that is under way, and the new process with it.
func TestUpgradeWhileStopping(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	program, _ := held(t)
	go u.upgrade("--program", program)
	eventually(t, func() bool { return u.last().Result == api.UpgradeRunning }, func() string { return "it is not under way" })
	u.signal(syscall.SIGTERM)
	if code := u.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}

// systemd is told which process serves from now on, and that one feeds the watchdog.
func TestUpgradeUnderASupervisor(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	m := listenForNotice(t, socket)
	u := startUpgradableProgram(t, script(t, fmt.Sprintf(`NOTIFY_SOCKET=%s WATCHDOG_USEC=1000000 WATCHDOG_PID= exec %s "$@"`, socket, executable(t))))
	await := func(lines ...string) {
		t.Helper()
		for {
			text := "\n" + m.next() + "\n"
			if containsAll(text, lines) {
				return
			}
		}
	}
	await("\nREADY=1\n")
	for old := u.cmd.Process.Pid; u.count("upgraded") < 2; {
		last := u.mustUpgrade()
		await(fmt.Sprintf("\nMAINPID=%d\n", last.PID), "\nWATCHDOG=1\n", "\nSTATUS=serving\n")
		awaitEnd(t, old)
		old = last.PID
		await("\nWATCHDOG=1\n")
		await("\nWATCHDOG=1\n")
	}
}

// A policy that was killed stays so, also if the history of that was damaged, and one that was changed and not reloaded is not an answer to the
// question whether another program does the same.
func TestUpgradeKeepsPolicies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "routes.toml"), savedTable("broadcast-all"))
	u := startUpgradable(t, "--policy", "file:"+filepath.Join(dir, "routes.toml"), "--set", "reload.watch=false", "--set", "releases.state="+filepath.Join(dir, "state"))
	write(t, filepath.Join(dir, "routes.toml"), savedTable("broadcast-except-sender"))
	if code, out := u.upgrade("--check"); code != exitInternal || !strings.Contains(out, "tenant default: it would put another policy in force") {
		t.Errorf("a changed policy: exit code %d, %s", code, out)
	}
	write(t, filepath.Join(dir, "routes.toml"), savedTable("broadcast-all"))
	u.policy("kill")
	history := filepath.Join(dir, "state", "history.jsonl")
	text, err := os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	write(t, history, strings.Replace(string(text), `"kind":"initial"`, `"kind":"Initial"`, 1)) // which damages it
	u.mustUpgrade()
	if out := u.policy("status"); !strings.Contains(out, "killed") {
		t.Errorf("after the upgrade: %s", out)
	}
	u.policy("revive")
	u.mustUpgrade()
	a := u.dial()
	a.say(spoken("hello"))
	a.expect(spoken("hello"))
}

// A kill that the new process cannot know is not ended by an upgrade, though the policy is the same.
func TestUpgradeKeepsAKillWithoutAFolder(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t, "--set", "releases.state=")
	u.policy("kill")
	if code, out := u.upgrade(); code != exitInternal || !strings.Contains(out, "tenant default: it would end the kill") {
		t.Errorf("killed: exit code %d, %s", code, out)
	}
	if out := u.policy("status"); !strings.Contains(out, "killed") {
		t.Errorf("after the upgrade was refused: %s", out)
	}
	u.policy("revive")
	u.mustUpgrade()
}

// What could not be written to releases.state is written by the next attempt to upgrade.
func TestUpgradeAfterADiskFailed(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	write(t, state, "") // a file where the folder should be
	u := startUpgradable(t, "--set", "releases.state="+state)
	u.policy("kill")
	if code, out := u.upgrade(); code != exitInternal || !strings.Contains(out, "the new process would not know 2 entries") {
		t.Errorf("exit code %d, %s", code, out)
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	u.mustUpgrade()
	if out := u.policy("status"); !strings.Contains(out, "killed") {
		t.Errorf("after the upgrade: %s", out)
	}
}

// policy runs a command about policies.
func (u *upgradable) policy(verb string) string {
	u.t.Helper()
	var out strings.Builder
	if code := run([]string{"policy", verb, "--set", "admin.socket=" + u.socket}, os.Environ(), &out, &out); code != exitStopped {
		u.t.Fatalf("policy %s: exit code %d, %s", verb, code, out.String())
	}
	return out.String()
}

// A connection with TLS is written what is due to it, and closed; one with a PROXY header moves with
// the address that was announced.
func TestUpgradeOfOtherConnections(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, clients := authorities(t, dir)
	secure := `
[[listener]]
tenant = "default"
[listener.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "clients.pem"
`
	write(t, filepath.Join(dir, "config.toml"), secure+`
[[listener]]
address = "127.0.0.1:0"
tenant = "default"
proxy_from = ["127.0.0.0/8"]
`)
	u := startUpgradable(t, "--config", filepath.Join(dir, "config.toml"))
	u.at(`"tls":true`)
	secured := u.joinTLS(servers, "hub.example", clients.Client("one"))
	for _, l := range u.listeners() {
		if l != u.address {
			u.address = l
		}
	}
	proxied := from(t, "127.0.0.1", u.address)
	if _, err := proxied.Write([]byte("PROXY TCP4 10.1.0.1 10.9.9.9 1000 8200\r\n")); err != nil {
		t.Fatal(err)
	}
	p := u.join(proxied)
	p.say(spoken("before"))
	if last := u.mustUpgrade(); last.Moved != 1 || last.Drained != 1 {
		t.Errorf("%+v", last)
	}
	secured.expect(spoken("before"))
	secured.SetReadDeadline(time.Now().Add(patience))
	if got, err := readSaid(secured); err != io.EOF {
		t.Errorf("the TLS connection: %d bytes, %v; want its end", len(got), err)
	}
	hasAddress := func() {
		p.settle()
		all, err := u.admin().Connections(t.Context(), nil, "id", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Connections) != 1 || all.Connections[0].Peer != "10.1.0.1:1000" {
			t.Errorf("connections %+v", all.Connections)
		}
	}
	hasAddress()
	write(t, filepath.Join(dir, "config.toml"), secure) // which removes its listener
	u.expect("no longer listening")
	if last := u.upgradeWhenIdle(); last.Moved != 1 {
		t.Errorf("%+v", last)
	}
	hasAddress()
}

// upgradeWhenIdle upgrades as soon as the server is not busy, and returns the result.
func (u *upgradable) upgradeWhenIdle() api.Upgrade {
	u.t.Helper()
	var code int
	var out string
	eventually(u.t, func() bool {
		code, out = u.upgrade()
		return code != exitNotYet && !tookTooLong(out)
	}, func() string { return out })
	if code != exitStopped {
		u.t.Fatalf("exit code %d, %s", code, out)
	}
	return u.last()
}

// Each tenant continues by itself.
func TestUpgradeOfTenants(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.toml"), `
[[listener]]
tenant = "one"
[[listener]]
address = "127.0.0.1:0"
tenant = "two"
source_connections = 2
[tenant.one]
[tenant.two]
`)
	u := startUpgradable(t, "--config", filepath.Join(dir, "config.toml"))
	u.at(`"tenant":"one"`)
	one, other := u.dial(), u.dial()
	u.at(`"tenant":"two"`)
	two, third := u.dial(), u.dial()
	if last := u.mustUpgrade(); last.Moved != 4 {
		t.Errorf("%+v", last)
	}
	one.say(spoken("hello"))
	other.expect(spoken("hello"))
	two.say(spoken("hi"))
	third.expect(spoken("hi"))
	for _, c := range []peer{one, other, two, third} {
		c.settle() // nothing crossed
	}
	from := u.logged()
	if conn, err := net.Dial("tcp", u.address); err == nil {
		defer conn.Close()
	}
	u.expectFrom(from, "connection refused", "source-full")
}

// While a removed tenant drains, an upgrade is refused: its connections would not move. One that has
// drained is none of the new process's business.
func TestUpgradeWhileATenantDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	configuration := func(tenants ...string) {
		text := "[drain]\nspread = \"30m\"\ntimeout = \"1h\"\n"
		for _, name := range tenants {
			text += fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%s]\n", name, name)
		}
		write(t, filepath.Join(dir, "config.toml"), text)
	}
	configuration("stays", "drains", "empty")
	u := startUpgradable(t, "--config", filepath.Join(dir, "config.toml"))
	u.at(`"tenant":"drains"`)
	u.dial()
	second := u.dial() // which has its turn after a quarter of an hour
	configuration("stays", "drains")
	u.expect(`"msg":"sessions"`, `"tenant":"empty"`)
	u.upgradeWhenIdle()
	configuration("stays")
	u.expect("tenant removed", `"tenant":"drains"`)
	var code int
	var out string
	eventually(t, func() bool { // it may be loading first
		code, out = u.upgrade()
		return code != exitNotYet || strings.Contains(out, "is still draining; ask again")
	}, func() string { return out })
	if code != exitNotYet {
		t.Errorf("exit code %d, %s", code, out)
	}
	second.settle()
}

// listeners returns the addresses that are listened on.
func (u *upgradable) listeners() (all []string) {
	u.t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.lines {
		if l["msg"] == "listening" {
			all = append(all, l["address"].(string))
		}
	}
	return all
}

// A release in stages continues in the new process.
func TestUpgradeDuringARelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table("broadcast-except-sender")
	r.awaitStage("broadcast-except-sender", "shadow")
	r.command(0, "promote")
	before := r.awaitStage("broadcast-except-sender", "stage")
	release := r.status().Release
	r.upgrade()
	after := r.awaitStage("broadcast-except-sender", "stage")
	if after.Share != before.Share || r.status().Release != release {
		t.Errorf("release %d at %v, and then %d at %v", release, before.Share, r.status().Release, after.Share)
	}
	if r.chat(10); r.count("release rolled back") > 0 {
		t.Error("the release was rolled back")
	}
}

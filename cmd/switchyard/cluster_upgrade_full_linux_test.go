//go:build full

package main

import (
	"maps"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/order/jetstream/bustest"
)

// The program of one of two hubs is exchanged five times under numbered traffic, and three others cannot
// take over. Nothing is lost, doubled or reordered, the tables stay equal, and neither hub enters again.
func TestUpgradeInACluster(t *testing.T) {
	t.Parallel()
	f := startFleet(bustest.Start(t, 1), 2, fleetSettings{
		tenants: []string{"default"},
		cluster: "replicas = 1\nmember_timeout = \"1m\"\nalone_after = \"5m\"\n",
		wrap: func(_ int, program string, args []string) *exec.Cmd {
			cmd := exec.Command(program, args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which successors inherit
			return cmd
		},
		started: func(_, pid int) { t.Cleanup(func() { syscall.Kill(-pid, syscall.SIGKILL) }) },
	})
	u := &upgradable{process: f.members[0].process, socket: f.members[0].cmd.Dir + "/admin.sock"}
	tr := startTraffic(f, 4, 5*time.Millisecond)
	defer tr.close()
	before := f.atOnePosition()
	exe := executable(t)
	tr.during("upgrades", func() {
		for range 5 {
			if got := u.mustUpgrade(); got.Moved != 5 || got.Drained+got.Closed != 0 {
				t.Errorf("%+v", got)
			}
			tr.awaitHeard(20)
		}
		for program, want := range map[string]string{
			script(t, `[ "$1" = version ] || export SWITCHYARD_CLUSTER__HUB=2; exec `+exe+` "$@"`): "it would be hub 2 of cluster fleet and is hub 1 of cluster fleet",
			u.successor("dies", "presence"): "the new process ended",
			u.successor("dies", "ready"):    "the new process ended",
		} {
			if code, out := u.upgrade("--program", program); code != exitInternal || !strings.Contains(out, want) {
				t.Errorf("exit code %d, %s\nwant %s", code, out, want)
			}
			tr.awaitHeard(20)
		}
	})
	for place, now := range f.atOnePosition() {
		if now.Gone > 0 || now.Alone > 0 || !maps.Equal(now.Entered, before[place].Entered) || len(now.Members) != 2 {
			t.Errorf("hub %d was %+v, is %+v", place+1, before[place], now)
		}
	}
	tr.checkAccounts()
}

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

// startReplaceable starts so many hubs over a bus of one server, whose programs can be exchanged.
func startReplaceable(bus *bustest.Bus, hubs int, s fleetSettings) *fleet {
	s.cluster += "replicas = 1\nalone_after = \"5m\"\n"
	s.wrap = func(_ int, program string, args []string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which successors inherit
		return cmd
	}
	s.started = func(_, pid int) { bus.T().Cleanup(func() { syscall.Kill(-pid, syscall.SIGKILL) }) }
	return startFleet(bus, hubs, s)
}

// upgradable returns the hub at a place.
func (f *fleet) upgradable(place int) *upgradable {
	p := f.members[place].process
	return &upgradable{process: p, socket: p.cmd.Dir + "/admin.sock"}
}

// The program of one of two hubs is exchanged five times under numbered traffic, and three others cannot
// take over. Nothing is lost, doubled or reordered, the tables stay equal, and neither hub enters again.
func TestUpgradeInACluster(t *testing.T) {
	t.Parallel()
	f := startReplaceable(bustest.Start(t, 1), 2, fleetSettings{tenants: []string{"default"}, cluster: "member_timeout = \"1m\"\n"})
	u := f.upgradable(0)
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

// Every recorded dialogue, with its connections spread over two hubs whose programs are exchanged in its
// middle, is byte for byte as it was recorded from one.
func TestDialoguesOverUpgrades(t *testing.T) {
	t.Parallel()
	dialogues, tenants := recorded(t)
	f := startReplaceable(bustest.Start(t, 1, "--memory", "4GiB"), 2, fleetSettings{tenants: tenants,
		cluster: "member_timeout = \"1m\"\nwindow = \"1MiB\"\nlog = \"32MiB\"\n"})
	playFleet(t, f, dialogues, func() {
		for place := range f.members {
			if got := f.upgradable(place).mustUpgrade(); got.Moved == 0 || got.Drained+got.Closed > 0 {
				t.Errorf("hub %d: %+v", place+1, got)
			}
		}
	})
	for _, tenant := range tenants {
		for _, place := range f.places() {
			s, err := f.status(t.Context(), place, tenant)
			if err != nil {
				t.Fatal(err)
			}
			if s.Gone > 0 || s.Alone > 0 || s.TableMismatches > 0 || !maps.Equal(s.Entered, map[string]uint64{"start": 1}) {
				t.Errorf("%+v", *s)
			}
		}
	}
}

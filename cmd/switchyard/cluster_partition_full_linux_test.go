//go:build full

package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/order/jetstream/bustest"
)

// inNetwork is set in the process that plays TestPartition in a network of its own.
const inNetwork = "SWITCHYARD_TEST_IN_NETWORK"

// The network of TestPartition. The hub that is cut off has a network namespace of its own, and two
// cables to that of the test: one to the bus, which is cut, and one to its peers.
//
//	servers on 127.0.0.1 ◀── relays on busHost ◀══ bus ══ hub ══ peers ══▶ talkers
const (
	busHost, busHub     = "10.231.1.1", "10.231.1.2"
	peersHost, peersHub = "10.231.2.1", "10.231.2.2"
)

// The test cuts one hub of three off from the bus three times. After 3 s the other hubs still count it
// as a member. After 8 s they have declared it gone. In the third cut, of 40 s, it serves its own peers
// alone from the 20th second on. Meanwhile each PDU of the other hubs' peers arrives at all of these
// peers, once and in one order. After each cut the user tables are equal, and every PDU arrives.
//
// Where no network namespace can be made, as in a container without that right, relays that stop
// forwarding stand for the cable.
func TestPartition(t *testing.T) {
	t.Parallel()
	if os.Getenv(inNetwork) != "" {
		playPartition(t, newCable(t))
		return
	}
	args := []string{"--net", executable(t), "-test.run=^TestPartition$", "-test.v", "-test.timeout=5m"}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-root-user"}, args...)
	}
	if out, err := exec.Command("unshare", append(args[:len(args)-4:len(args)-4], "true")...).CombinedOutput(); err != nil {
		t.Logf("relays instead of a network namespace: %v, %s", err, out)
		playPartition(t, &relayedCable{})
		return
	}
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), inNetwork+"=1", bustest.ProgramVariable+"="+bustest.Program(t))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// A cable connects the hub at cutPlace with the bus.
type cable interface {
	prepare(bus *bustest.Bus, s *fleetSettings)
	cut()
	mend()
}

const cutPlace = 2

func playPartition(t *testing.T, c cable) {
	dir := t.TempDir()
	ca := authority.New(t, "bus")
	leaf := authority.Leaf{Server: true, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(busHost)}}
	certificate, key := ca.Issue(leaf).Write(dir, "server")
	bus := bustest.Start(t, 3, "--certificate", certificate, "--key", key)
	s := fleetSettings{tenants: []string{"default"}, cluster: fmt.Sprintf("ca = %q\nmember_timeout = \"5s\"\n", ca.Write(dir, "ca"))}
	c.prepare(bus, &s)
	f := startFleet(bus, 3, s)
	tr := startTraffic(f, 6, 30*time.Millisecond)
	defer tr.close()
	cut := func(d time.Duration) func() {
		return func() {
			c.cut()
			time.Sleep(d) // for as long as the cable is cut
			c.mend()
			f.awaitMembers(3)
		}
	}
	if a := tr.during("a hub is cut off for 3 s", cut(3*time.Second)); a.tolerated > 0 {
		t.Logf("the machine is so busy that the other hubs declared this one gone")
	}
	tr.during("a hub is cut off for 8 s", cut(8*time.Second))
	tr.apart = cutPlace
	tr.during("a hub is cut off for 40 s", cut(40*time.Second))
	tr.apart = -1
	tr.during("after all", func() {})
	for _, m := range f.atOnePosition() {
		if alone := m.Hub == cutPlace+1; alone != (m.Alone == 1) || !alone && m.Alone > 0 {
			t.Errorf("hub %d was alone %d times", m.Hub, m.Alone)
		}
	}
}

// A relayedCable is relays.
type relayedCable struct{ relays []*relay }

func (c *relayedCable) prepare(bus *bustest.Bus, s *fleetSettings) {
	s.servers = tlsServers(bus, func(address string) *relay {
		r := startRelay(bus.T(), address, nil)
		c.relays = append(c.relays, r)
		return r
	})
}

func (c *relayedCable) set(held bool) {
	for _, r := range c.relays {
		r.set(func() { r.held = held })
	}
}

func (c *relayedCable) cut()  { c.set(true) }
func (c *relayedCable) mend() { c.set(false) }

// tlsServers returns the addresses of the bus for each place. The hub at cutPlace reaches the servers
// through relays, which start starts.
func tlsServers(bus *bustest.Bus, start func(address string) *relay) func(place int) []string {
	return func(place int) (all []string) {
		for _, server := range bus.Servers(place) {
			address := strings.TrimPrefix(server, "nats://")
			if place == cutPlace {
				address = start(address).address
			}
			all = append(all, "tls://"+address)
		}
		return all
	}
}

// A networkCable is a pair of network devices.
type networkCable struct {
	t testing.TB
}

func newCable(t testing.TB) *networkCable {
	c := &networkCable{t: t}
	c.ip("link", "set", "lo", "up")
	return c
}

// ip configures the network.
func (c *networkCable) ip(args ...string) {
	c.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %v: %v; it is in Debian's package iproute2\n%s", args, err, out)
	}
}

func (c *networkCable) prepare(bus *bustest.Bus, s *fleetSettings) {
	s.servers = tlsServers(bus, func(address string) *relay { return startRelayAt(bus.T(), busHost, address, nil) })
	s.listen = func(place int) string {
		if place == cutPlace {
			return peersHub + ":0"
		}
		return "127.0.0.1:0"
	}
	// The devices are there before the hub, as the relays listen at them.
	c.ip("link", "add", "bus", "type", "veth", "peer", "name", "bushub")
	c.ip("link", "add", "peers", "type", "veth", "peer", "name", "peershub")
	for device, host := range map[string]string{"bus": busHost, "peers": peersHost} {
		c.ip("address", "add", host+"/24", "dev", device)
		c.ip("link", "set", device, "up")
	}
	s.started = func(place, pid int) {
		for _, device := range []string{"bushub", "peershub"} {
			if place == cutPlace {
				c.ip("link", "set", device, "netns", fmt.Sprint(pid))
			}
		}
	}
	s.wrap = func(place int, program string, args []string) *exec.Cmd {
		if place != cutPlace {
			return exec.Command(program, args...)
		}
		return c.inside(program, args)
	}
}

// inside returns a command that runs the program in a network namespace of its own, once it has its
// devices.
func (c *networkCable) inside(program string, args []string) *exec.Cmd {
	script := fmt.Sprintf(`until ip link set bushub up 2>/dev/null && ip link set peershub up 2>/dev/null; do sleep 0.01; done
ip link set lo up && ip address add %s/24 dev bushub && ip address add %s/24 dev peershub && exec "$0" "$@"`, busHub, peersHub)
	cmd := exec.Command("sh", append([]string{"-c", script, program}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return cmd
}

func (c *networkCable) cut()  { c.ip("link", "set", "bus", "down") }
func (c *networkCable) mend() { c.ip("link", "set", "bus", "up") }

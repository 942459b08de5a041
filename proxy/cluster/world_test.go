package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/logtest"
	"switchyard/proxy/order/ordertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a bus with hubs that act as one, in a synctest bubble.
type world struct {
	*testing.T
	bus      *ordertest.Bus
	settings func(*Settings)
	limits   func(*proxy.Limits)
	release  func(*membership) // what the hub's release knows
	nodes    []*node
}

// A node is a hub of a world.
type node struct {
	world   *world
	tenant  *proxy.Tenant
	member  *Member
	log     *busLog
	lines   *logtest.Lines
	active  *policy.Active
	closed  bool
	entered chan struct{}

	mu   sync.Mutex
	fail error
}

// inWorld runs play in a bubble, and closes all hubs afterwards.
func inWorld(t *testing.T, play func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, bus: ordertest.NewBus()}
		play(w)
		for _, n := range w.nodes {
			n.close()
		}
	})
}

// hub starts a hub, and waits until it has entered.
func (w *world) hub(number uint16) *node {
	n := w.start(number)
	<-n.entered
	synctest.Wait()
	return n
}

// hubs starts hubs 1 to n, one after the other.
func (w *world) hubs(n int) (all []*node) {
	for i := range n {
		all = append(all, w.hub(uint16(i+1)))
	}
	return all
}

func (w *world) start(number uint16) *node {
	n := &node{world: w, entered: make(chan struct{}), lines: new(logtest.Lines), log: connect(w.bus, number), active: policytest.Active(rulesOfWorld)}
	log := slog.New(slog.NewTextHandler(n.lines, nil))
	limits := proxy.Limits{WriteTimeout: time.Minute, MaxPDU: 1 << 20, LagHard: 1 << 30}
	if w.limits != nil {
		w.limits(&limits)
	}
	n.tenant = proxy.NewTenant("default", n.active, limits, log)
	s := Settings{Number: number, Name: fmt.Sprintf("host-%d", number), Window: 4 << 20, Queue: 32 << 20, Held: 64 << 20,
		MemberTimeout: 5 * time.Second, AloneAfter: 20 * time.Second, Policies: func() []uint64 { return []uint64{7} },
		Hub: n.tenant.Hub(), Ordered: n.tenant.Ordered, Room: n.tenant.OrderHasRoom, Log: log, Fail: n.failed, Entered: func() { close(n.entered) }}
	if w.settings != nil {
		w.settings(&s)
	}
	n.member = New(n.log, s)
	if w.release != nil {
		w.release(n.member.membership)
	}
	n.tenant.SetOrder(n.member, number)
	n.member.Start()
	w.nodes = append(w.nodes, n)
	return n
}

func (n *node) failed(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func (n *node) error() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fail
}

func (n *node) close() {
	if n.closed {
		return
	}
	n.closed = true
	n.tenant.Close()
	hubtest.Conserved(n.world.T, n.tenant.Hub())
	n.active.Close()
}

// kill makes the hub vanish from the bus, as if its process were killed.
func (n *node) kill() {
	n.log.Cut()
	n.close()
}

// expect checks the hub's state.
func (n *node) expect(want State) {
	n.world.Helper()
	synctest.Wait()
	time.Sleep(tickTime) // as the status is that of the last tick at least
	synctest.Wait()
	if got := n.member.Status(); got.State != want {
		n.world.Errorf("hub %d is %s (%s), want %s\n%s", n.log.hub, got.State, got.Why, want, n.lines)
	}
}

const (
	others   = pdu.CID_MSG_DATA
	everyone = pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY
	goAway   = pdu.CID_MSG_READ_ACK
)

var rulesOfWorld = policytest.Rules{
	others:                                  abi.BroadcastExceptSender,
	everyone:                                abi.BroadcastAll,
	pdu.CID_OTHER_HEARTBEAT:                 abi.Consume,
	pdu.CID_OTHER_ROLE_SET:                  abi.Handle | abi.RoleSet<<abi.ArgumentShift,
	pdu.CID_OTHER_ONLINE_USER_INFO:          abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift,
	pdu.CID_OTHER_USER_STATUS_UPDATE:        abi.Handle | abi.UserStatusUpdate<<abi.ArgumentShift,
	pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST: abi.Handle | abi.UsersStatusRequest<<abi.ArgumentShift,
	goAway:                                  abi.Close,
}

// A peer is the remote end of a connection to a hub. It reads everything.
type peer struct {
	*node
	conn net.Conn

	mu    sync.Mutex
	got   []byte
	ended bool
}

// peer connects a peer, which is a session at once.
func (n *node) peer() *peer {
	n.world.Helper()
	conn, far := net.Pipe()
	p := &peer{node: n, conn: conn}
	if err := n.tenant.Serve(far, func(bool) {}); err != nil {
		n.world.Fatal(err)
	}
	go p.read()
	p.say(pdutest.Heartbeat())
	synctest.Wait()
	return p
}

func (p *peer) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.conn.Read(buf)
		p.mu.Lock()
		p.got = append(p.got, buf[:n]...)
		p.ended = err != nil
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// say writes PDUs, which the hub takes at once unless it makes its peers wait.
func (p *peer) say(pdus ...[]byte) {
	p.conn.Write(bytes.Join(pdus, nil))
}

// take returns what has come since the last call.
func (p *peer) take() []byte {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// expect checks what has come since the last call.
func (p *peer) expect(want ...[]byte) {
	p.world.Helper()
	if got := p.take(); !bytes.Equal(got, bytes.Join(want, nil)) {
		p.world.Errorf("a peer of hub %d got\n%s, want\n%s", p.log.hub, dump(got), dump(bytes.Join(want, nil)))
	}
}

func dump(b []byte) (text string) {
	for _, p := range pdutest.Split(b) {
		text += pdutest.Dump(p) + "\n"
	}
	return text
}

// online checks which of the users 1, 2, … the peer's hub knows as online.
func (p *peer) online(want ...bool) {
	p.world.Helper()
	p.take()
	var ids []uint32
	var stats []*pb.UserStat
	for i, on := range want {
		status := pb.UserStatType_USER_STATUS_OFFLINE
		if on {
			status = pb.UserStatType_USER_STATUS_ONLINE
		}
		ids = append(ids, uint32(i+1))
		stats = append(stats, pdutest.UserStat(uint32(i+1), status))
	}
	p.say(pdutest.StatusRequest(1, 9, nil, ids...))
	p.expect(pdutest.StatusResponse(1, 9, nil, stats...))
}

func message(c pdu.CommandID, text string) []byte {
	return pdu.Append(nil, pdu.SID_MSG, c, 0, []byte(text))
}

func online(users ...uint32) []byte {
	var stats []*pb.ServerUserStat
	for _, u := range users {
		stats = append(stats, pdutest.Stat(u, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
	return pdutest.Online(stats...)
}

// sameTables checks that all hubs that run have the same user table.
func (w *world) sameTables() {
	w.Helper()
	synctest.Wait()
	sums := make(map[uint64][]uint16)
	for _, n := range w.nodes {
		if !n.closed {
			sum := n.tenant.Hub().TableSum()
			sums[sum] = append(sums[sum], n.log.hub)
		}
	}
	if len(sums) > 1 {
		w.Errorf("the tables of the hubs differ: %v", sums)
	}
}

// countOf returns how often a PDU is in b.
func countOf(b, one []byte) (n int) {
	for _, p := range pdutest.Split(b) {
		if bytes.Equal(p, one) {
			n++
		}
	}
	return n
}

//go:build full

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

// Numbered traffic over hubs that act as one. Every talker numbers what it says, and records what
// it hears:
//
//	number % 8   0 to 4         5, 6              7
//	             a broadcast    a unicast to      a user logs in, and at every other time that
//	                            another talker    one logs out
//
// trafficPolicy routes it. A talker also holds one user for as long as it is connected, to whom
// unicasts are sent.
const trafficPolicy = `[route]
CID_MSG_DATA = "broadcast-except-sender"
CID_FILE_NOTIFY = "unicast fields to_user_id, not-sender"
CID_OTHER_ONLINE_USER_INFO = "handle online-user-info"
CID_OTHER_USER_STATUS_UPDATE = "handle user-status-update"
CID_BUDDY_LIST_USERS_STATUS_REQUEST = "handle users-status-request"
`

// A numberedTraffic is all talkers.
type numberedTraffic struct {
	t       testing.TB
	hubs    *fleet
	every   time.Duration // what a talker says
	talkers []*talker
	targets int            // unicasts are for so many of the first talkers
	apart   int            // the hub that is alone for a while, or -1
	entered map[int]uint64 // how often the hub at each place had entered when the accounts began
	again   map[int]bool   // the places of hubs that entered since then
	reading sync.WaitGroup
}

// startTraffic connects so many talkers to each hub, and one that only listens. Each says something
// every so often once talk is called. The caller closes it, before the hubs end.
func startTraffic(hubs *fleet, each int, every time.Duration) *numberedTraffic {
	hubs.t.Helper()
	tr := &numberedTraffic{t: hubs.t, hubs: hubs, every: every, apart: -1}
	for place := range hubs.addresses {
		tr.connect(place, true)
		for range each {
			tr.connect(place, false)
		}
	}
	tr.targets = len(tr.talkers)
	tr.settle()
	tr.begin()
	return tr
}

// connect connects a talker, which announces its user.
func (tr *numberedTraffic) connect(place int, mute bool) *talker {
	tr.t.Helper()
	conn, err := net.DialTimeout("tcp", tr.hubs.addresses[place], patience)
	if err != nil {
		tr.t.Fatal(err)
	}
	k := &talker{Conn: conn, id: len(tr.talkers), place: place, mute: mute, late: true, last: time.Now()}
	tr.talkers = append(tr.talkers, k)
	tr.reading.Go(func() { tr.readLoop(k) })
	k.say(tr.t, pdutest.Online(pdutest.Stat(k.user(), pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS)))
	return k
}

// talk makes all talkers send that do not.
func (tr *numberedTraffic) talk() {
	for _, k := range tr.talkers {
		if k.mute || k.stop != nil || k.isAllowedToEnd() {
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		k.stop, k.sent = stop, make(chan struct{})
		go tr.sendLoop(ctx, k) // waited for by quiet
	}
}

// quiet stops all senders.
func (tr *numberedTraffic) quiet() {
	for _, k := range tr.talkers {
		if k.stop != nil {
			k.stop()
			<-k.sent
			k.stop = nil
		}
	}
}

// sendLoop says something every so often.
func (tr *numberedTraffic) sendLoop(ctx context.Context, k *talker) {
	defer close(k.sent)
	random := rand.New(rand.NewPCG(uint64(k.id), 1))
	tick := time.NewTicker(tr.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p, to := tr.compose(k, random)
		k.to = append(k.to, to)
		k.SetWriteDeadline(time.Now().Add(patience))
		if _, err := k.Write(p); err != nil {
			if !k.isAllowedToEnd() {
				tr.t.Errorf("talker %d: %v", k.id, err)
			}
			return
		}
	}
}

// compose returns what k says next, and for whom it is.
func (tr *numberedTraffic) compose(k *talker, random *rand.Rand) (p []byte, to int) {
	number := uint32(len(k.to))
	mark := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(k.id)), number)
	switch number % 8 {
	case 5, 6:
		for to = k.id; to == k.id; {
			to = random.IntN(tr.targets)
		}
		body := binary.AppendUvarint([]byte{0x08}, uint64(k.user()))
		body = binary.AppendUvarint(append(body, 0x10), uint64(to+1))
		return pdutest.Raw(pdu.CID_FILE_NOTIFY, 0, append(append(body, 0x1a, byte(len(mark))), mark...)), to
	case 7:
		if number%16 == 7 {
			return pdutest.StatusUpdate(k.guest(number), uint32(pb.UserStatType_USER_STATUS_ONLINE), pb.ClientType_CLIENT_TYPE_WINDOWS), everybody
		}
		return pdutest.StatusUpdate(k.guest(number-8), uint32(pb.UserStatType_USER_STATUS_OFFLINE), pb.ClientType_CLIENT_TYPE_WINDOWS), everybody
	}
	pad := random.IntN(200)
	if random.IntN(200) == 0 {
		pad = 32 << 10
	}
	return pdutest.Raw(pdu.CID_MSG_DATA, 0, append(mark, make([]byte, pad)...)), everybody
}

// readLoop records what arrives.
func (tr *numberedTraffic) readLoop(k *talker) {
	r := newBufferedReader(k)
	for {
		p, err := readPDU(r)
		k.mu.Lock()
		if err != nil {
			k.ended = true
			if !k.mayEnd {
				tr.t.Errorf("connection of talker %d ended: %v", k.id, err)
			}
			k.mu.Unlock()
			return
		}
		k.hear(p)
		k.mu.Unlock()
	}
}

// allowEnd allows the connections to a hub to end.
func (tr *numberedTraffic) allowEnd(place int) {
	for _, k := range tr.at(place) {
		k.allowEnd()
	}
}

// awaitHeard waits until every open connection has heard so much more.
func (tr *numberedTraffic) awaitHeard(more int) {
	tr.t.Helper()
	before := make(map[*talker]int)
	for _, k := range tr.open() {
		before[k] = k.hears()
	}
	for k, had := range before {
		eventually(tr.t, func() bool { return k.hears() >= had+more || tr.t.Failed() }, func() string {
			return fmt.Sprintf("talker %d at hub %d has heard %d events more, want %d", k.id, k.place, k.hears()-had, more)
		})
	}
}

// forgetPauses begins to measure the longest pauses again.
func (tr *numberedTraffic) forgetPauses() {
	for _, k := range tr.talkers {
		k.mu.Lock()
		k.longest, k.last = 0, time.Now()
		k.mu.Unlock()
	}
}

// at returns the talkers of a hub whose connections are open.
func (tr *numberedTraffic) at(place int) (open []*talker) {
	for _, k := range tr.talkers {
		if k.place == place && !k.isAllowedToEnd() {
			open = append(open, k)
		}
	}
	return open
}

// open returns all talkers whose connections are open.
func (tr *numberedTraffic) open() (open []*talker) {
	for place := range tr.hubs.addresses {
		open = append(open, tr.at(place)...)
	}
	return open
}

// settle waits until everything that was said has been heard. Every talker asks about all users that
// there may be, and the answer is behind all that its hub had for it. It returns the answers.
func (tr *numberedTraffic) settle() map[*talker][]byte {
	tr.t.Helper()
	tr.ask(nil)
	if err := tr.hubs.level(tr.t.Context(), "default"); err != nil {
		tr.t.Fatal(err)
	}
	var users []uint32
	for _, k := range tr.talkers {
		users = append(users, k.user())
		if n := uint32(len(k.to)); n > 0 {
			users = append(users, k.guest(n-1), k.guest(max(n, 9)-9))
		}
	}
	return tr.ask(users)
}

// ask asks the hubs about users over all open connections.
func (tr *numberedTraffic) ask(users []uint32) map[*talker][]byte {
	tr.t.Helper()
	answers := make(map[*talker][]byte)
	had := make(map[*talker]int)
	open := tr.open()
	for _, k := range open {
		k.mu.Lock()
		had[k] = len(k.answers)
		k.mu.Unlock()
		k.say(tr.t, pdutest.StatusRequest(7, 1, nil, users...))
	}
	for _, k := range open {
		eventually(tr.t, func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			if len(k.answers) > had[k] {
				answers[k] = k.answers[had[k]]
			}
			return answers[k] != nil || k.ended
		}, func() string { return fmt.Sprintf("talker %d at hub %d has no answer", k.id, k.place) })
	}
	return answers
}

// begin begins new accounts: what was said and heard before is forgotten.
func (tr *numberedTraffic) begin() {
	tr.entered = tr.hubs.entries()
	for _, k := range tr.talkers {
		k.from = len(k.to)
		k.mu.Lock()
		k.heard, k.longest, k.late = nil, 0, false
		k.mu.Unlock()
	}
}

// close closes all connections.
func (tr *numberedTraffic) close() {
	for _, k := range tr.talkers {
		k.allowEnd()
		k.Close()
	}
	tr.quiet()
	tr.reading.Wait()
}

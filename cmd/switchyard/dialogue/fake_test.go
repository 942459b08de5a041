package dialogue

import (
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
)

// A fake is a route server without users: it forwards what the original forwards, answers users
// status requests, and closes a connection at a length below the header's. That is enough for
// some of the recorded dialogues.
type fake struct {
	listener  net.Listener
	heartbeat time.Duration
	timeout   time.Duration
	spoil     func([]byte) []byte // what is sent in place of a forwarded PDU; nil: the PDU
	mute      bool                // does not answer

	running sync.WaitGroup
	mu      sync.Mutex
	timers  map[net.Conn]*time.Timer // until the next heartbeat, by open connection
}

// start serves on a port of its own until the test ends, and returns the address.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.listener = listener
	f.timers = map[net.Conn]*time.Timer{}
	if f.heartbeat == 0 {
		f.heartbeat, f.timeout = time.Hour, time.Hour
	}
	f.running.Go(f.acceptLoop)
	t.Cleanup(f.stop)
	return listener.Addr().String()
}

func (f *fake) acceptLoop() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.timers[conn] = time.AfterFunc(f.heartbeat, func() { f.send(conn, heartbeat) })
		f.mu.Unlock()
		f.running.Go(func() { f.readLoop(conn) })
	}
}

func (f *fake) readLoop(conn net.Conn) {
	defer f.drop(conn)
	var rest []byte
	buf := make([]byte, 4096)
	for {
		conn.SetReadDeadline(time.Now().Add(f.timeout))
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		rest = append(rest, buf[:n]...)
		for {
			n, err := pdu.Next(rest, math.MaxInt)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			f.handle(conn, rest[:n])
			rest = rest[n:]
		}
	}
}

func (f *fake) handle(from net.Conn, b []byte) {
	switch h := pdu.ParseHeader(b); h.Command {
	case pdu.CID_MSG_DATA, pdu.CID_MSG_READ_NOTIFY, pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY,
		pdu.CID_FILE_NOTIFY, pdu.CID_SWITCH_P2P_CMD, pdu.CID_OTHER_SERVER_KICK_USER:
		f.forward(from, b)
	case pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
		f.forward(nil, b)
	case pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST:
		if !f.mute {
			f.send(from, pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, h.Seq, b[pdu.HeaderLen:]))
		}
	}
}

func (f *fake) forward(except net.Conn, b []byte) {
	if f.spoil != nil {
		b = f.spoil(b)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for to, timer := range f.timers {
		if to != except {
			timer.Reset(f.heartbeat)
			to.Write(b)
		}
	}
}

func (f *fake) send(to net.Conn, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if timer, open := f.timers[to]; open {
		timer.Reset(f.heartbeat)
		to.Write(b)
	}
}

func (f *fake) drop(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timers[conn].Stop()
	delete(f.timers, conn)
	conn.Close()
}

func (f *fake) stop() {
	f.listener.Close()
	f.mu.Lock()
	for conn := range f.timers {
		conn.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}

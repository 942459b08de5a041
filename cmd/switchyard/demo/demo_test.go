package demo

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// A recorder is a hub that only counts what comes.
type recorder struct {
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	commands map[pdu.CommandID]int
	first    []pdu.CommandID // of each connection
	invalid  int             // bodies that are not a valid message of a known command
	cut      int             // connections that ended within a PDU, or by a bad length
}

func (r *recorder) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	r.running.Go(func() { r.read(far) })
	return near, nil
}

func (r *recorder) read(conn net.Conn) {
	defer conn.Close()
	first := true
	for reader := pdu.NewReader(conn, 1<<20); ; {
		batch, err := reader.ReadBatch()
		r.mu.Lock()
		if err != nil {
			if err != io.EOF {
				r.cut++
			}
			r.mu.Unlock()
			return
		}
		for len(batch) > 0 {
			h := pdu.ParseHeader(batch)
			body := batch[pdu.HeaderLen:h.Length]
			r.commands[h.Command]++
			m := message.Read(h.Command, body)
			if message.Type(h.Command) != nil && (m == nil || proto.CheckInitialized(m.Interface()) != nil) {
				r.invalid++
			}
			if first {
				r.first, first = append(r.first, h.Command), false
			}
			batch = batch[h.Length:]
		}
		r.mu.Unlock()
	}
}

// Minutes of a fleet: its rate is the one that was asked for, all kinds of PDU occur, only the
// malformed ones are invalid, and servers that lose their connection come back and announce their
// users first. Afterwards nothing is left running.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, minutes, servers = 20, 5, 4
		r := &recorder{commands: make(map[pdu.CommandID]int)}
		ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
		defer cancel()
		got := Run(ctx, Options{Servers: servers, Users: 100, Rate: rate, Seed: 1, Dial: r.dial})
		r.running.Wait()

		sum := 0
		for _, n := range r.commands {
			sum += n
		}
		if sum != got.Sent {
			t.Errorf("%d PDUs came, %d were sent", sum, got.Sent)
		}
		// A server without a connection sends nothing, and heartbeats come in addition.
		if most := rate * minutes * 60; sum < most*9/10 || sum > most*11/10 {
			t.Errorf("%d PDUs in %d minutes, want about %d", sum, minutes, most)
		}
		for _, c := range []pdu.CommandID{pdu.CID_MSG_DATA, pdu.CID_MSG_READ_NOTIFY, pdu.CID_SWITCH_P2P_CMD, pdu.CID_OTHER_USER_STATUS_UPDATE,
			pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, pdu.CID_OTHER_SERVER_KICK_USER, pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY, pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY,
			pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY, pdu.CID_FILE_NOTIFY, pdu.CID_MSG_READ_ACK, pdu.CID_OTHER_HEARTBEAT, pdu.CID_OTHER_ROLE_SET, pdu.CID_OTHER_ONLINE_USER_INFO, 0x0999} {
			if r.commands[c] == 0 {
				t.Errorf("no %v was sent", c)
			}
		}
		if n := r.commands[pdu.CID_OTHER_USER_STATUS_UPDATE]; r.invalid == 0 || r.invalid > n/10 {
			t.Errorf("%d PDUs are invalid of %d status updates; a few should be", r.invalid, n)
		}
		if got.Lost < minutes || r.cut != got.Lost || len(r.first) < servers+minutes {
			t.Errorf("%d connections were lost, %d cut, %d made", got.Lost, r.cut, len(r.first))
		}
		for _, c := range r.first {
			if c != pdu.CID_OTHER_ROLE_SET {
				t.Errorf("a connection begins with %v", c)
			}
		}
	})
}

// A hub that cannot be reached, and one that closes every connection, are tried again every few
// seconds, and do not keep a fleet from ending.
func TestRunWithoutHub(t *testing.T) {
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"refuses": func(context.Context) (net.Conn, error) { return nil, io.EOF },
		"closes": func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			far.Close()
			return near, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got := Run(ctx, Options{Servers: 2, Users: 10, Rate: 10, Dial: func(ctx context.Context) (net.Conn, error) {
				tries++
				return dial(ctx)
			}})
			if got.Sent != 0 || tries < 2*10 || tries > 2*16 {
				t.Errorf("%s: %+v after %d tries", name, got, tries)
			}
		})
	}
}

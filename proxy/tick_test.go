package proxy

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/policy/policytest"
)

// pipeTenant returns a tenant for in-memory connections in a synctest bubble.
func pipeTenant(l Limits) (*Tenant, func()) {
	active := policytest.Active(testRules())
	tenant := NewTenant("default", active, l, slog.New(slog.DiscardHandler))
	return tenant, func() {
		tenant.Close()
		active.Close()
	}
}

// An arrival is what a peer received and when: a heartbeat, something else, or the end.
type arrival struct {
	at   time.Duration
	what string
}

// listen connects a peer that records what arrives until the connection ends.
func listen(tenant *Tenant) (net.Conn, <-chan []arrival) {
	conn, far := net.Pipe()
	join(tenant, far)
	start := time.Now()
	all := make(chan []arrival, 1)
	go func() {
		var got []arrival
		for r := pdu.NewReader(conn, 1<<20); ; {
			batch, err := r.ReadBatch()
			at := time.Since(start)
			if err != nil {
				all <- append(got, arrival{at, "end"})
				return
			}
			for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
				what := "other"
				if bytes.HasPrefix(batch, heartbeat) {
					what = "heartbeat"
				}
				got = append(got, arrival{at, what})
			}
		}
	}()
	return conn, all
}

// A silent peer gets a heartbeat whenever nothing was sent to it for more than 5 s, and
// is closed after more than 30 s. The tick checks that once a second.
func TestHeartbeatAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		conn, all := listen(tenant)
		got := <-all
		conn.Close()
		if len(got) != 6 {
			t.Fatalf("got %v, want 5 heartbeats and the end", got)
		}
		for i, a := range got[:5] {
			if want := time.Duration(6*(i+1)) * time.Second; a.what != "heartbeat" || a.at != want {
				t.Errorf("%d: %v, want a heartbeat at %v", i, a, want)
			}
		}
		if end := got[5]; end.what != "end" || end.at != 31*time.Second {
			t.Errorf("%v, want the end at 31s", end)
		}
	})
}

// Anything sent to a peer postpones its next heartbeat. PDUs received from it keep it open,
// even if each of them arrives in two parts; what is sent to it does not.
func TestWhatCountsAsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		talker, talked := listen(tenant)
		halver, halved := listen(tenant)
		silent, ended := listen(tenant)
		sent := message(others, 1, "0123456789")
		for i := range 32 { // 80 s
			if i%2 == 0 && i < 10 {
				talker.Write(sent) // every 5 s until 20 s
			}
			if i%4 == 0 {
				half := len(sent) / 2 * (i / 4 % 2)
				halver.Write(sent[half : half+len(sent)/2]) // every 10 s, until 70 s
			}
			time.Sleep(2500 * time.Millisecond)
		}
		got := <-ended
		if first := got[0]; first.what != "other" || first.at != 0 {
			t.Errorf("the silent peer got %v first", first)
		}
		for _, a := range got {
			if a.what == "heartbeat" && a.at <= 25*time.Second {
				t.Errorf("a heartbeat at %v, though something was sent at most 5 s before", a.at)
			}
		}
		if end := got[len(got)-1]; end.at != 31*time.Second {
			t.Errorf("the silent peer was closed at %v, want 31s", end.at)
		}
		if n := tenant.Hub().Counts().Sessions; n != 1 {
			t.Errorf("%d sessions after 80 s, want the one that sent half a PDU every 10 s", n)
		}
		part := <-halved
		if end := part[len(part)-1].at; end != 101*time.Second {
			t.Errorf("the peer that sent its last half of a PDU at 70 s was closed at %v, want 101s", end)
		}
		halver.Close()
		talker.Close()
		<-talked
		silent.Close()
	})
}

// A peer that exceeds the soft limit for LagSoftTime is closed. One that catches up in
// between is not.
func TestSoftLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLimits()
		l.Timeout, l.WriteTimeout, l.LagSoft = 0, 0, 100_000
		tenant, stop := pipeTenant(l)
		defer stop()
		talker, talked := listen(tenant)
		stalled, far := net.Pipe()
		join(tenant, far)
		m := message(others, 1, string(make([]byte, 150_000)))

		talker.Write(m)
		time.Sleep(8 * time.Second)
		io.ReadFull(stalled, make([]byte, len(m)))
		time.Sleep(2 * time.Second)
		talker.Write(m)
		time.Sleep(9 * time.Second)
		if n := tenant.Hub().Counts().Sessions; n != 2 {
			t.Errorf("%d sessions; the lag was over after 8 s, the new one has lasted 9 s", n)
		}
		time.Sleep(3 * time.Second)
		if n := tenant.Hub().Counts().Sessions; n != 1 {
			t.Errorf("%d sessions; the lag has lasted 12 s, the limit is 10", n)
		}
		stalled.Close()
		talker.Close()
		<-talked
	})
}

// What becomes due while the tick has the right to write, to trim, is written afterwards.
// No flusher comes for it: that one found the right taken.
func TestTrimWritesWhatBecameDue(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	c := dial(t, addr)
	tenant.stopTick() // which would flush by itself
	eventually(t, "no flusher is at work", func() bool { return tenant.flush.requests.Load() == 0 })
	s := (*tenant.sessions.Load())[0]
	tenant.Hub().Send(s.seat, heartbeat) // without a flush
	s.trim()
	c.expect(heartbeat)
}

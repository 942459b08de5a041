package hub_test

import (
	"errors"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

const hard = 4 << 20

// A lagTest is a hub with three peers: a talker, a reader and one that stalls, which are
// sessions 1, 2 and 3. READ_ACK goes to the stalled peer alone, READ_NOTIFY to the reader.
type lagTest struct {
	hub                     *Hub
	talker, reader, stalled *hubtest.Peer
}

func newLagTest() lagTest {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToSession<<16 | 3<<32
	r[pdu.CID_MSG_READ_NOTIFY] = abi.Unicast | abi.ToSession<<16 | 2<<32
	h := New(policytest.Active(roleRules{r}), hard)
	return lagTest{h, hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)}
}

// say sends a PDU of 1016 bytes from the talker. All peers but the stalled one read it.
func (s lagTest) say(t *testing.T, c pdu.CommandID) {
	t.Helper()
	s.talker.Send(t, pdu.Append(nil, pdu.SID_MSG, c, 0, make([]byte, 1000)))
	for _, g := range []*hubtest.Peer{s.talker, s.reader} {
		g.Read()
		g.Got = nil
	}
}

// A peer that never reads is closed, once, before the logs have grown by much more than
// its limit. No other peer is closed.
func TestLagIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		first, then pdu.CommandID
	}{
		"broadcasts": {others, others},
		"unicasts":   {pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_ACK},
		// One unread unicast keeps the side log from there on, whichever peer the rest is for.
		"unicasts to others": {pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_NOTIFY},
	} {
		t.Run(name, func(t *testing.T) {
			s := newLagTest()
			s.say(t, tt.first)
			appended := s.hub.Appended
			for len(s.stalled.Closed) == 0 && appended() < 3*hard {
				s.say(t, tt.then)
			}
			if n := appended(); n < hard/2 || n > hard+hard/4 {
				t.Errorf("closed after %d bytes, the limit is %d", n, hard)
			}
			for range hard / 1000 {
				s.say(t, tt.then)
			}
			if len(s.stalled.Closed) != 1 || s.stalled.Closed[0] != SlowConsumer {
				t.Errorf("the peer that stalls was closed for %v, want %v once", s.stalled.Closed, SlowConsumer)
			}
			if len(s.talker.Closed)+len(s.reader.Closed) > 0 {
				t.Errorf("others were closed for %v, %v", s.talker.Closed, s.reader.Closed)
			}
		})
	}
}

// The limit holds as well for a session that has left and is still being written to.
func TestLagOfTheLeaving(t *testing.T) {
	s := newLagTest()
	s.say(t, others)
	s.hub.Leave(s.stalled.Seat)
	for range 2 * hard / 1000 {
		s.say(t, others)
	}
	if len(s.stalled.Closed) != 1 {
		t.Errorf("closed %d times, want once", len(s.stalled.Closed))
	}
	s.stalled.Release(SlowConsumer)
	if n := s.hub.Counts().Discarded[SlowConsumer]; n != 1 {
		t.Errorf("%d copies discarded, want the one that was due", n)
	}
}

// A peer whose only edit skips its own PDU does not lag by the unicasts before that
// edit.
func TestLagBeginsWithTheOldestEdit(t *testing.T) {
	s := newLagTest()
	for range hard / 2 / 1000 {
		s.say(t, pdu.CID_MSG_READ_NOTIFY)
	}
	s.reader.Send(t, message(others, 1, "sent and not passed over yet"))
	if lag := s.reader.Lag(); lag > 1000 {
		t.Errorf("the reader's lag is %d bytes", lag)
	}
}

// A lower limit applies at once, also if nothing more is said.
func TestLowerLagHardAppliesAtOnce(t *testing.T) {
	s := newLagTest()
	for range 1000 {
		s.say(t, pdu.CID_MSG_DATA)
	}
	s.hub.SetLagHard(2 << 20)
	if len(s.stalled.Closed) > 0 {
		t.Errorf("closed for %v below the limit", s.stalled.Closed)
	}
	s.hub.SetLagHard(512 << 10)
	if len(s.stalled.Closed) != 1 || s.stalled.Closed[0] != SlowConsumer {
		t.Errorf("closed for %v, want %v", s.stalled.Closed, SlowConsumer)
	}
}

// A batch that makes a peer lag too much and ends with a PDU that closes its sender still
// closes the peer that lags.
func TestLaggingIsClosedBehindAClose(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Close
	h := New(policytest.Active(r), hard)
	talker, stalled := hubtest.Join(h), hubtest.Join(h)
	batch := append(pdu.Append(nil, pdu.SID_MSG, others, 0, make([]byte, 2*hard)), message(pdu.CID_MSG_READ_ACK, 0, "")...)
	if err := h.Handle(talker.Seat, batch); !errors.Is(err, ErrClose) {
		t.Errorf("Handle = %v, want ErrClose", err)
	}
	if len(stalled.Closed) != 1 {
		t.Errorf("the peer that lags was closed %d times, want once", len(stalled.Closed))
	}
}

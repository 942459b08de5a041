package hub

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

const hard = 4 << 20

// A stage is a hub with a talker, a reader and a peer that stalls, who are sessions
// 1, 2 and 3. READ_ACK goes to the stalled one alone, READ_NOTIFY to the reader.
type stage struct {
	hub                     *Hub
	talker, reader, stalled *guest
}

func newStage() stage {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToSession<<16 | 3<<32
	r[pdu.CID_MSG_READ_NOTIFY] = abi.Unicast | abi.ToSession<<16 | 2<<32
	h := New(judge(r), hard)
	return stage{h, join(h), join(h), join(h)}
}

// say has the talker say a PDU of 1016 bytes, and everybody read but the stalled one.
func (s stage) say(t *testing.T, c pdu.CommandID) {
	t.Helper()
	s.talker.say(t, pdu.Append(nil, pdu.SID_MSG, c, 0, make([]byte, 1000)))
	for _, g := range []*guest{s.talker, s.reader} {
		g.read()
		g.got = nil
	}
}

// A peer that never reads is told to close, once, before the logs have grown by much
// more than its limit; nobody else is.
func TestLagIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		first, then pdu.CommandID
	}{
		"broadcasts": {others, others},
		"unicasts":   {pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_ACK},
		// One unicast that is not read holds the side log, whoever the rest is for.
		"unicasts to others": {pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_NOTIFY},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage()
			s.say(t, tt.first)
			appended := func() uint64 { return s.hub.log.end + s.hub.side.end }
			for len(s.stalled.closed) == 0 && appended() < 3*hard {
				s.say(t, tt.then)
			}
			if n := appended(); n < hard/2 || n > hard+hard/4 {
				t.Errorf("closed after %d bytes, the limit is %d", n, hard)
			}
			for range hard / 1000 {
				s.say(t, tt.then)
			}
			if len(s.stalled.closed) != 1 || s.stalled.closed[0] != SlowConsumer {
				t.Errorf("the peer that stalls was closed for %v, want %v once", s.stalled.closed, SlowConsumer)
			}
			if len(s.talker.closed)+len(s.reader.closed) > 0 {
				t.Errorf("others were closed for %v, %v", s.talker.closed, s.reader.closed)
			}
		})
	}
}

// A session that has left and is still being written to is bounded likewise.
func TestLagOfTheLeaving(t *testing.T) {
	s := newStage()
	s.say(t, others)
	s.hub.Leave(s.stalled.Seat)
	for range 2 * hard / 1000 {
		s.say(t, others)
	}
	if len(s.stalled.closed) != 1 {
		t.Errorf("closed %d times, want once", len(s.stalled.closed))
	}
	s.stalled.Release(SlowConsumer)
	if n := s.hub.Counts().Discarded[SlowConsumer]; n != 1 {
		t.Errorf("%d copies discarded, want the one that was due", n)
	}
}

// A peer that has only its own words to skip is not behind by what went elsewhere
// before.
func TestLagBeginsWithTheOldestEdit(t *testing.T) {
	s := newStage()
	for range hard / 2 / 1000 {
		s.say(t, pdu.CID_MSG_READ_NOTIFY)
	}
	s.reader.say(t, message(others, 1, "said and not passed over yet"))
	if lag := s.reader.Lag(); lag > 1000 {
		t.Errorf("the reader's lag is %d bytes", lag)
	}
}

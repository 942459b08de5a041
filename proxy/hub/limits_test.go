package hub_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

func status(user byte, status byte) []byte {
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{0x08, status, 0x10, user, 0x18, 1})
}

// Out counts what becomes due because of a sender, also in PDUs that the hub makes.
func TestOutIsCountedAfterFanOut(t *testing.T) {
	const toUser3, toUsers = pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_NOTIFY
	r := commonRules()
	r[toUser3] = abi.Unicast | abi.ToUser<<16 | 3<<32
	r[toUsers] = abi.Unicast | abi.ToFields<<16 | 2<<32 | abi.ElseBroadcast
	h := newHub(r)
	a, b, c := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
	b.Send(t, online(3))
	c.Send(t, online(3, 4))
	request := pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, []byte("\x08\x01\x10\x03"))
	for name, tt := range map[string]struct {
		p    []byte
		want int
	}{
		"to others":          {message(others, 0, "1234"), 2 * 20},
		"to all":             {message(everyone, 0, "1234"), 3 * 20},
		"to two holders":     {message(toUser3, 0, "1234"), 2 * 20},
		"to one holder":      {message(toUsers, 0, "\x08\x04"), 1 * 18},
		"to an unknown user": {message(toUsers, 0, "\x08\x09"), 2 * 18},
		"dropped":            {message(0x7778, 0, "1234"), 0},
		"consumed":           {message(pdu.CID_OTHER_HEARTBEAT, 0, ""), 0},
		"an answer":          {request, 16 + 2 + 6 + 3},
		"notices":            {status(8, 1), 3 * (20 + 22)},
	} {
		for _, g := range []*hubtest.Peer{a, b, c} {
			g.Read()
			g.Got = nil
		}
		before, of := a.Out(), b.Out()+c.Out()
		a.Send(t, tt.p)
		if got := a.Out() - before; got != uint64(tt.want) {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
		got := 0
		for _, g := range []*hubtest.Peer{a, b, c} {
			got += len(g.Read())
		}
		if got != tt.want || b.Out()+c.Out() != of {
			t.Errorf("%s: %d bytes arrived, want %d; others were charged %d", name, got, tt.want, b.Out()+c.Out()-of)
		}
	}
	before := a.Out()
	h.Send(a.Seat, message(pdu.CID_OTHER_HEARTBEAT, 0, ""))
	if a.Out() != before {
		t.Error("a heartbeat was charged to the peer that it goes to")
	}
}

func TestRefuse(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, message(others, 1, "accepted"))
	first := message(everyone, 2, "refused")
	h.Refuse(a.Seat, bytes.Join([][]byte{first, message(0x7777, 3, ""), status(1, 1)}, nil), OverQuotaPDUs)
	h.Refuse(a.Seat, first, LogFull)
	a.Send(t, message(others, 4, "accepted again"))
	b.Expect(t, "b", message(others, 1, "accepted"), message(others, 4, "accepted again"))
	if c := hubtest.Conserved(t, h); c.Received != 6 || c.Dropped[OverQuotaPDUs] != 3 || c.Dropped[LogFull] != 1 || h.Users() != 0 {
		t.Errorf("counts: %+v", c)
	}
	if len(a.Notes) != 2 || a.Notes[0].Dropped != OverQuotaPDUs || a.Notes[0].PDUs != 3 || a.Notes[0].Header != pdu.ParseHeader(first) || a.Notes[0].Policy == nil {
		t.Errorf("notes: %+v", a.Notes)
	}
}

func TestPausesAreCounted(t *testing.T) {
	h := newHub(commonRules())
	h.PauseBegins(LogFull)
	h.PauseBegins(LogFull)
	h.PauseBegins(OverQuotaPDUs)
	h.PauseEnded(LogFull, time.Second)
	h.PauseEnded(LogFull, time.Minute)
	c := h.Counts()
	if c.Slowed[LogFull] != 2 || c.Slowed[OverQuotaPDUs] != 1 || c.SlowedTime[LogFull] != time.Minute+time.Second || len(c.SlowedTime) != 1 {
		t.Errorf("counts: %+v", c)
	}
}

// A PDU that would exceed a limit of the user table changes nothing.
func TestPresenceFull(t *testing.T) {
	for name, tt := range map[string]struct {
		users, peerUsers int
		say              []byte
		full             bool
		want             int // entries afterwards; a holds 1 and 2, b holds 2
	}{
		"no limit":                      {0, 0, online(3, 4, 5), false, 6},
		"exactly":                       {4, 0, online(3), false, 4},
		"one too many":                  {4, 0, online(3, 4), true, 3},
		"each once":                     {4, 0, online(3, 1, 3, 2, 3), false, 4},
		"those that it has already":     {3, 2, online(1, 2, 1, 2), false, 3},
		"lowered":                       {1, 1, online(1, 2), false, 3},
		"of the peer, exactly":          {0, 3, online(3), false, 4},
		"of the peer":                   {0, 3, online(3, 4), true, 3},
		"known by another":              {0, 2, online(2, 3), true, 3},
		"an update, exactly":            {4, 3, status(3, 1), false, 4},
		"an update":                     {3, 0, status(3, 1), true, 3},
		"an update of the peer":         {0, 2, status(3, 3), true, 3},
		"an update of whom it has":      {3, 2, status(1, 1), false, 3},
		"an update of who goes":         {3, 2, status(9, 2), false, 3},
		"an update of who goes and was": {1, 1, status(1, 2), false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(commonRules())
			a, b := hubtest.Join(h), hubtest.Join(h)
			a.Send(t, online(1, 2))
			b.Send(t, online(2))
			h.SetPresenceLimits(tt.users, tt.peerUsers)
			a.Send(t, tt.say)
			if _, got := h.Presence(); got != tt.want {
				t.Errorf("%d entries, want %d", got, tt.want)
			}
			var want uint64
			if tt.full {
				want = 1
				a.Expect(t, "a")
				b.Expect(t, "b")
			}
			c := hubtest.Conserved(t, h)
			if c.Dropped[PresenceFull] != want || len(a.Notes) != int(want) || want > 0 && a.Notes[0].Dropped != PresenceFull {
				t.Errorf("dropped %v, notes %+v", c.Dropped, a.Notes)
			}
			// Without the limits, the same PDU is accepted.
			h.SetPresenceLimits(0, 0)
			a.Send(t, tt.say)
			if got := hubtest.Conserved(t, h).Dropped[PresenceFull]; got != want {
				t.Errorf("%d dropped without a limit", got-want)
			}
		})
	}
}

// settled is a hub's memory when everything has been read.
const settled = 2 * ChunkSize

func TestMemory(t *testing.T) {
	s := newLagTest()
	if got := s.hub.Memory(); got != ChunkSize {
		t.Errorf("%d bytes at first, want the log's chunk", got)
	}
	for range 2 * ChunkSize / 1000 {
		s.say(t, others)
	}
	if got := s.hub.Memory(); got < 3*ChunkSize || got > 3*ChunkSize+100*EditSize {
		t.Errorf("%d bytes while a peer is two chunks behind, want three chunks", got)
	}
	for range ChunkSize / 1000 {
		s.say(t, pdu.CID_MSG_READ_ACK) // to the stalled peer
	}
	edits := uint64(s.stalled.Edits()+s.talker.Edits()) * EditSize
	if got, most := s.hub.Memory(), 5*ChunkSize+edits; got > most || got < most-ChunkSize || edits < 256*EditSize {
		t.Errorf("%d bytes with a chunk of unicasts as well, want up to %d", got, most)
	}
	s.stalled.Read()
	for range 2 {
		for _, g := range []*hubtest.Peer{s.talker, s.reader, s.stalled} {
			g.Read()
			g.Trim()
		}
	}
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes when all is read and trimmed, want %d", got, settled)
	}
	s.stalled.Got = nil
	s.say(t, pdu.CID_MSG_READ_ACK)
	s.hub.Leave(s.stalled.Seat)
	s.stalled.Release(PeerClosed)
	s.talker.Trim()
	s.talker.Trim()
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes when the peer has left, want %d", got, settled)
	}
}

// Trim frees what was not needed since the last Trim, and nothing else: a seat that
// continues as before allocates nothing.
func TestTrimKeepsWhatIsNeeded(t *testing.T) {
	s := newLagTest()
	room := s.stalled.EditCap
	burst := func(n int) {
		for range n {
			s.say(t, pdu.CID_MSG_READ_ACK)
		}
		s.stalled.Read()
		s.stalled.Got = nil
	}
	burst(1000)
	s.stalled.Trim()
	before := room()
	for range 5 {
		burst(1000)
		s.stalled.Trim()
		if room() != before || before < 2000 {
			t.Fatalf("room for %d edits, want the %d of before", room(), before)
		}
	}
	burst(10)
	s.stalled.Trim()
	if got := room(); got > 100 || got < 10 {
		t.Errorf("room for %d edits after ten, want less than a hundred", got)
	}
	s.stalled.Trim()
	if got := room(); got != 0 || s.stalled.Trimmable() {
		t.Errorf("room for %d edits after none", got)
	}
}

// Trim at random moments does not change what is due, and the memory for all edits
// adds up.
func TestTrimAtAnyMoment(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	r := commonRules()
	for session := range pdu.CommandID(4) {
		r[0x0600+session] = abi.Unicast | abi.ToSession<<16 | policy.Verdict(session)<<32
	}
	h := New(policytest.Active(roleRules{r}), 1<<40)
	peers := []*hubtest.Peer{hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)}
	want := make([][]byte, len(peers))
	for n := range 20_000 {
		i := rnd.IntN(len(peers))
		g := peers[i]
		switch rnd.IntN(5) {
		case 0:
			g.Trim()
		case 1:
			g.ReadSome(1+rnd.IntN(4000), rnd.IntN(4000))
		case 2:
			p := message(others, uint16(n), "to others")
			g.Send(t, p)
			for j := range want {
				if j != i {
					want[j] = append(want[j], p...)
				}
			}
		default:
			to := rnd.IntN(len(peers))
			p := message(0x0601+pdu.CommandID(to), uint16(n), "to one")
			g.Send(t, p)
			want[to] = append(want[to], p...)
		}
		room := 0
		for _, g := range peers {
			room += g.Edits()
		}
		if got := h.EditCap(); got != int64(room) {
			t.Fatalf("step %d: room for %d edits is counted, there is room for %d", n, got, room)
		}
	}
	for i, g := range peers {
		if !bytes.Equal(g.Read(), want[i]) {
			t.Errorf("guest %d got %d bytes that are not the %d expected", i, len(g.Got), len(want[i]))
		}
		h.Leave(g.Seat)
		g.Release(PeerClosed)
	}
	if got := h.Memory(); got != settled {
		t.Errorf("%d bytes when all have left, want %d", got, settled)
	}
	hubtest.Conserved(t, h)
}

// A session to which nothing can be written passes over all that is due, in the log and
// in edits, and keeps no memory of it.
func TestPassOver(t *testing.T) {
	s := newLagTest()
	for i := range 3 * ChunkSize / 1000 {
		s.say(t, [...]pdu.CommandID{others, pdu.CID_MSG_READ_ACK, others, others}[i%4])
		switch i % 50 {
		case 10:
			s.stalled.Send(t, message(others, 1, "sent itself"))
		case 48:
			if i == 48 {
				s.stalled.ReadSome(1<<20, 2500) // then its connection breaks
			}
			s.stalled.PassOver(s.hub.Head())
			if s.stalled.Behind(s.hub.Head()) || s.stalled.Lag() != 0 {
				t.Fatalf("after %d PDUs %d bytes are left", i, s.stalled.Lag())
			}
		}
	}
	s.talker.Read()
	s.reader.Read()
	for _, g := range []*hubtest.Peer{s.talker, s.reader, s.stalled} {
		s.hub.Leave(g.Seat)
		g.Release(PeerReset)
	}
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes, want %d", got, settled)
	}
	if c := hubtest.Conserved(t, s.hub); c.Discarded[PeerReset] == 0 || c.Pending != 0 {
		t.Errorf("counts: %+v", c)
	}
}

// As long as a peer lags no more than its share, the logs are below the limit, even if
// all of its lag are the edits of small PDUs.
func TestShare(t *testing.T) {
	for _, limit := range []uint64{MinMemory, 4 * MinMemory} {
		for name, c := range map[string]struct {
			command pdu.CommandID
			size    int
		}{"edits": {pdu.CID_MSG_READ_ACK, 0}, "unicasts": {pdu.CID_MSG_READ_ACK, 5000}, "broadcasts": {others, 5000}} {
			s := newLagTest()
			p := pdu.Append(nil, pdu.SID_MSG, c.command, 0, make([]byte, c.size))
			for s.stalled.Lag()+EditSize+uint64(len(p)) <= Share(limit, 1) {
				s.talker.Send(t, p)
				s.talker.Read()
				s.reader.Read()
				s.talker.Got, s.reader.Got = nil, nil
			}
			s.stalled.ReadSome(1<<20, 0) // its writer takes over the edits, and the queue for new ones keeps its memory
			if got := s.hub.Memory(); got > limit {
				t.Errorf("%s: the logs take %d bytes though %d are the limit, and the peer lags %d of %d", name, got, limit, s.stalled.Lag(), Share(limit, 1))
			}
		}
	}
}

// What a seat keeps for judging is bounded, whatever the PDUs of a batch are, and keeps no
// batch alive. So is the scratch memory for answers.
func TestScratchIsBounded(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.BroadcastAll
	h := newHub(r)
	a := hubtest.Join(h)
	a.Send(t, slices.Repeat(status(3, 1), 4*MaxRuns)) // of one command, each a run of its own
	a.Send(t, slices.Repeat(slices.Concat(message(pdu.CID_MSG_READ_ACK, 1, ""), message(everyone, 1, "")), 4*MaxCommandRuns))
	runs, commandRuns, alive := a.Judged()
	if runs > 2*MaxRuns || commandRuns > 2*MaxCommandRuns || alive {
		t.Errorf("room for %d runs and %d command runs is kept, want at most %d and %d; bytes of the batch kept: %v", runs, commandRuns, MaxRuns, MaxCommandRuns, alive)
	}
	a.Read()
	a.Got = nil
	if a.Send(t, ask(0, MaxAsked)); len(a.Read()) < KeptScratch {
		t.Fatalf("the answer has %d bytes: the test shows nothing", len(a.Got))
	}
	if got := h.ScratchCap(); got > KeptScratch {
		t.Errorf("%d bytes of scratch memory are kept, want at most %d", got, KeptScratch)
	}
}

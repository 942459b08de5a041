package hub

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// sum checks that everything received was accepted or dropped, and returns the counts.
func sum(t *testing.T, h *Hub) Counts {
	t.Helper()
	c := h.Counts()
	var fates, discarded uint64
	for _, n := range c.Actions {
		fates += n
	}
	for _, n := range c.Dropped {
		fates += n
	}
	for _, n := range c.Discarded {
		discarded += n
	}
	if c.Received != fates || c.Due != c.Delivered+c.Pending+discarded {
		t.Errorf("counts do not add up: %+v", c)
	}
	return c
}

func status(user byte, status byte) []byte {
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{0x08, status, 0x10, user, 0x18, 1})
}

// What a sender costs is what becomes due because of it, whoever made the PDU.
func TestOutIsCountedAfterFanOut(t *testing.T) {
	const toUser3, toUsers = pdu.CID_MSG_READ_ACK, pdu.CID_MSG_READ_NOTIFY
	r := commonRules()
	r[toUser3] = abi.Unicast | abi.ToUser<<16 | 3<<32
	r[toUsers] = abi.Unicast | abi.ToFields<<16 | 2<<32 | abi.ElseBroadcast
	h := New(judge(r), farBehind)
	a, b, c := join(h), join(h), join(h)
	b.say(t, online(3))
	c.say(t, online(3, 4))
	request := pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, []byte("\x08\x01\x10\x03"))
	for name, tt := range map[string]struct {
		p    []byte
		want int
	}{
		"to others":               {message(others, 0, "1234"), 2 * 20},
		"to all":                  {message(everyone, 0, "1234"), 3 * 20},
		"to two holders":          {message(toUser3, 0, "1234"), 2 * 20},
		"to one holder":           {message(toUsers, 0, "\x08\x04"), 1 * 18},
		"to nobody in particular": {message(toUsers, 0, "\x08\x09"), 2 * 18},
		"dropped":                 {message(0x7778, 0, "1234"), 0},
		"nobody is to hear":       {message(pdu.CID_OTHER_HEARTBEAT, 0, ""), 0},
		"an answer":               {request, 16 + 2 + 6 + 3},
		"notices":                 {status(8, 1), 3 * (20 + 22)},
	} {
		for _, g := range []*guest{a, b, c} {
			g.read()
			g.got = nil
		}
		before, of := a.Out(), b.Out()+c.Out()
		a.say(t, tt.p)
		if got := a.Out() - before; got != uint64(tt.want) {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
		got := 0
		for _, g := range []*guest{a, b, c} {
			got += len(g.read())
		}
		if got != tt.want || b.Out()+c.Out() != of {
			t.Errorf("%s: %d bytes arrived, want %d; others were charged %d", name, got, tt.want, b.Out()+c.Out()-of)
		}
	}
	before := a.Out()
	h.Tell(a.Seat, message(pdu.CID_OTHER_HEARTBEAT, 0, ""))
	if a.Out() != before {
		t.Error("a heartbeat was charged to the peer that it goes to")
	}
}

func TestRefuse(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	a.say(t, message(others, 1, "heard"))
	first := message(everyone, 2, "not heard")
	h.Refuse(a.Seat, bytes.Join([][]byte{first, message(0x7777, 3, ""), status(1, 1)}, nil), OverQuotaPDUs)
	h.Refuse(a.Seat, first, LogFull)
	a.say(t, message(others, 4, "heard again"))
	expect(t, "b", b, message(others, 1, "heard"), message(others, 4, "heard again"))
	if c := sum(t, h); c.Received != 6 || c.Dropped[OverQuotaPDUs] != 3 || c.Dropped[LogFull] != 1 || h.Users() != 0 {
		t.Errorf("counts: %+v", c)
	}
	if len(a.notes) != 2 || a.notes[0].Dropped != OverQuotaPDUs || a.notes[0].PDUs != 3 || a.notes[0].Header != pdu.ParseHeader(first) || a.notes[0].Policy == nil {
		t.Errorf("notes: %+v", a.notes)
	}
}

func TestPausesAreCounted(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
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

// A PDU that would add an entry beyond what there is room for does nothing at all.
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
			h := New(judge(commonRules()), farBehind)
			a, b := join(h), join(h)
			a.say(t, online(1, 2))
			b.say(t, online(2))
			h.SetPresenceLimits(tt.users, tt.peerUsers)
			a.say(t, tt.say)
			if got := h.presence.Entries(); got != tt.want {
				t.Errorf("%d entries, want %d", got, tt.want)
			}
			var want uint64
			if tt.full {
				want = 1
				expect(t, "a", a)
				expect(t, "b", b)
			}
			c := sum(t, h)
			if c.Dropped[PresenceFull] != want || len(a.notes) != int(want) || want > 0 && a.notes[0].Dropped != PresenceFull {
				t.Errorf("dropped %v, notes %+v", c.Dropped, a.notes)
			}
			// The next one has its chance again.
			h.SetPresenceLimits(0, 0)
			a.say(t, tt.say)
			if got := sum(t, h).Dropped[PresenceFull]; got != want {
				t.Errorf("%d dropped without a limit", got-want)
			}
		})
	}
}

// settled is what a hub's memory is when all is read.
const settled = 2 * chunkSize

func TestMemory(t *testing.T) {
	s := newStage()
	if got := s.hub.Memory(); got != chunkSize {
		t.Errorf("%d bytes at first, want the log's chunk", got)
	}
	for range 2 * chunkSize / 1000 {
		s.say(t, others)
	}
	if got := s.hub.Memory(); got < 3*chunkSize || got > 3*chunkSize+100*editSize {
		t.Errorf("%d bytes while a peer is two chunks behind, want three chunks", got)
	}
	for range chunkSize / 1000 {
		s.say(t, pdu.CID_MSG_READ_ACK) // to the stalled one
	}
	edits := uint64(cap(s.stalled.added)+cap(s.talker.edits)+cap(s.talker.added)) * editSize
	if got, most := s.hub.Memory(), 5*chunkSize+edits; got > most || got < most-chunkSize || edits < 256*editSize {
		t.Errorf("%d bytes with a chunk of unicasts as well, want up to %d", got, most)
	}
	s.stalled.read()
	for range 2 {
		for _, g := range []*guest{s.talker, s.reader, s.stalled} {
			g.read()
			g.Trim()
		}
	}
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes when all is read and trimmed, want %d", got, settled)
	}
	s.stalled.got = nil
	s.say(t, pdu.CID_MSG_READ_ACK)
	s.hub.Leave(s.stalled.Seat)
	s.stalled.Release(PeerClosed)
	s.talker.Trim()
	s.talker.Trim()
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes when the peer has left, want %d", got, settled)
	}
}

// Trim takes what was not needed since the last time, and nothing of what was: a seat
// that goes on as it did allocates nothing.
func TestTrimKeepsWhatIsNeeded(t *testing.T) {
	s := newStage()
	room := func() int64 { return s.stalled.room.Load() }
	burst := func(n int) {
		for range n {
			s.say(t, pdu.CID_MSG_READ_ACK)
		}
		s.stalled.read()
		s.stalled.got = nil
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

// Trimming at any moment changes nothing of what is due, and the memory of all edits
// adds up.
func TestTrimAtAnyMoment(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	r := commonRules()
	for session := range pdu.CommandID(4) {
		r[0x0600+session] = abi.Unicast | abi.ToSession<<16 | policy.Verdict(session)<<32
	}
	h := New(judge(r), 1<<40)
	guests := []*guest{join(h), join(h), join(h)}
	want := make([][]byte, len(guests))
	for n := range 20_000 {
		i := rnd.IntN(len(guests))
		g := guests[i]
		switch rnd.IntN(5) {
		case 0:
			g.Trim()
		case 1:
			g.readSome(1+rnd.IntN(4000), rnd.IntN(4000))
		case 2:
			p := message(others, uint16(n), "to others")
			g.say(t, p)
			for j := range want {
				if j != i {
					want[j] = append(want[j], p...)
				}
			}
		default:
			to := rnd.IntN(len(guests))
			p := message(0x0601+pdu.CommandID(to), uint16(n), "to one")
			g.say(t, p)
			want[to] = append(want[to], p...)
		}
		room := 0
		for _, g := range guests {
			room += cap(g.edits) + cap(g.added)
		}
		if got := h.room.Load(); got != int64(room) {
			t.Fatalf("step %d: room for %d edits is counted, there is room for %d", n, got, room)
		}
	}
	for i, g := range guests {
		if !bytes.Equal(g.read(), want[i]) {
			t.Errorf("guest %d got %d bytes that are not the %d expected", i, len(g.got), len(want[i]))
		}
		h.Leave(g.Seat)
		g.Release(PeerClosed)
	}
	if got := h.Memory(); got != settled {
		t.Errorf("%d bytes when all have left, want %d", got, settled)
	}
	sum(t, h)
}

// The holders of many users are put together while they are few peers, and what that
// took is given back.
func TestHoldersAreGivenBack(t *testing.T) {
	r := commonRules()
	r[others] = abi.Unicast | abi.ToFields<<16 | 2<<32
	h := New(judge(r), farBehind)
	const peers = 50
	var guests []*guest
	for range peers {
		g := join(h)
		g.say(t, online(1, 2))
		guests = append(guests, g)
	}
	guests[0].say(t, message(others, 1, string(bytes.Repeat([]byte{0x08, 1, 0x08, 2}, maxNamed/2))))
	if got := sum(t, h); got.Due != peers {
		t.Errorf("%d copies, want one for each of %d", got.Due, peers)
	}
	if got := cap(h.holders); got > keptHolders {
		t.Errorf("room for %d holders is kept", got)
	}
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	h.findUsers(r[others], message(others, 1, string(bytes.Repeat([]byte{0x08, 1}, maxNamed))))
	if got := cap(h.holders); got < keptHolders || got > 4*keptHolders {
		t.Errorf("room for %d holders while %d peers are looked for", got, peers)
	}
}

// A session that can take nothing more passes over all that is due, edits and log in
// any order, and keeps nothing of it.
func TestPassOver(t *testing.T) {
	s := newStage()
	for i := range 3 * chunkSize / 1000 {
		s.say(t, [...]pdu.CommandID{others, pdu.CID_MSG_READ_ACK, others, others}[i%4])
		switch i % 50 {
		case 10:
			s.stalled.say(t, message(others, 1, "said itself"))
		case 48:
			if i == 48 {
				s.stalled.readSome(1<<20, 2500) // and then its connection breaks
			}
			s.stalled.PassOver(s.hub.Head())
			if s.stalled.Behind(s.hub.Head()) || s.stalled.Lag() != 0 {
				t.Fatalf("after %d PDUs %d bytes are left", i, s.stalled.Lag())
			}
		}
	}
	s.talker.read()
	s.reader.read()
	for _, g := range []*guest{s.talker, s.reader, s.stalled} {
		s.hub.Leave(g.Seat)
		g.Release(PeerReset)
	}
	if got := s.hub.Memory(); got != settled {
		t.Errorf("%d bytes, want %d", got, settled)
	}
	if c := sum(t, s.hub); c.Discarded[PeerReset] == 0 || c.Pending != 0 {
		t.Errorf("counts: %+v", c)
	}
}

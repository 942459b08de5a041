package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// rules is a policy with a verdict for each command.
type rules map[pdu.CommandID]policy.Verdict

func (r rules) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) { return r[c], nil }
func (r rules) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) {
	return 0, errors.New("a trap")
}
func (rules) Close() error { return nil }

func newHub() *hub.Hub {
	r := rules{
		pdu.CID_MSG_DATA:                 abi.BroadcastExceptSender,
		pdu.CID_MSG_READ_ACK:             abi.Consume | abi.InspectHeader,
		pdu.CID_OTHER_ONLINE_USER_INFO:   abi.Handle | abi.OnlineUserInfo<<32,
		pdu.CID_OTHER_USER_STATUS_UPDATE: abi.Handle | abi.UserStatusUpdate<<32,
		pdu.CID_OTHER_ROLE_SET:           abi.Handle | abi.RoleSet<<32,
	}
	return hub.New(policy.NewActive(policy.NewGeneration("test", "00112233445566778899aabbccddeeff", r)), 1<<40)
}

// A live capture is read while it is written.
type live struct {
	t *testing.T
	*Reader
	done chan error
}

// record records hubs, and returns when the sessions that exist have been recorded.
func record(t *testing.T, ctx context.Context, o Options, hubs ...*hub.Hub) *live {
	t.Helper()
	in, out := io.Pipe()
	t.Cleanup(func() { in.Close() })
	l := &live{t: t, Reader: NewReader(in), done: make(chan error, 1)}
	var sources []Source
	for i, h := range hubs {
		sources = append(sources, Source{Name: string(rune('a' + i)), Hub: h})
	}
	go func() {
		err := Run(ctx, out, "a test", sources, o)
		l.done <- err
		out.CloseWithError(err)
	}()
	for range hubs {
		for range 2 {
			if rec := l.next(); rec.Kind != Joined || !rec.Known {
				t.Fatalf("the capture begins with %+v, want those who are there", rec)
			}
		}
	}
	return l
}

func (l *live) next() *Record {
	l.t.Helper()
	rec, err := l.Next()
	if err != nil {
		l.t.Fatal(err)
	}
	return rec
}

// want checks that the next record is of that PDU.
func (l *live) want(session uint64, p []byte, v policy.Verdict) *Record {
	l.t.Helper()
	rec := l.next()
	if rec.Kind != PDU || rec.Session != session || !bytes.Equal(rec.PDU, p) || rec.Verdict != v {
		l.t.Fatalf("got %+v, want %v with %s from %d", rec, v, pdutest.Dump(p), session)
	}
	return rec
}

// end checks that the capture ends for that reason.
func (l *live) end(why string) Statistics {
	l.t.Helper()
	for {
		if _, err := l.Next(); err == io.EOF {
			break
		} else if err != nil {
			l.t.Fatal(err)
		}
	}
	if err := <-l.done; err != nil {
		l.t.Error(err)
	}
	if got := l.Statistics(0).Ended; got != why {
		l.t.Errorf("it ended as %q, want %q", got, why)
	}
	return l.Statistics(0)
}

func TestRun(t *testing.T) {
	h := newHub()
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, pdutest.RoleSet(true))
	l := record(t, t.Context(), Options{Bodies: true, PDUs: 4}, h)
	first, second := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("one")), pdutest.Raw(pdu.CID_MSG_DATA, 2, []byte("two"))
	ack, unknown := pdutest.Raw(pdu.CID_MSG_READ_ACK, 3, nil), pdutest.Raw(0x0999, 4, []byte("x"))
	before := time.Now()
	b.Send(t, first, second)
	c := hubtest.Join(h)
	c.Send(t, ack)
	h.Leave(c.Seat)
	a.Send(t, unknown)
	rec := l.want(2, first, abi.BroadcastExceptSender)
	if rec.Time.Before(before) || rec.Time.After(time.Now()) || rec.Policy != [8]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77} || rec.Fault != "" {
		t.Errorf("got %+v", rec)
	}
	l.want(2, second, abi.BroadcastExceptSender)
	if rec := l.next(); rec.Kind != Joined || rec.Known || rec.Session != 3 {
		t.Errorf("got %+v, want that session 3 joined", rec)
	}
	if rec := l.want(3, ack, abi.Consume); rec.Fault != policy.FaultTrap {
		t.Errorf("got %+v, want a trap", rec)
	}
	if rec := l.next(); rec.Kind != Left || rec.Session != 3 {
		t.Errorf("got %+v, want that session 3 left", rec)
	}
	l.want(1, unknown, 0)
	if s := l.end(endedPDUs); s.PDUs != 4 || s.Missed != 0 {
		t.Errorf("statistics are %+v", s)
	}
	a.Send(t, first) // the capture has ended
}

// The capture says which peer is master, and keeps only headers.
func TestHeadersAlone(t *testing.T) {
	h := newHub()
	a := hubtest.Join(h)
	a.Send(t, pdutest.RoleSet(true), pdutest.Online(pdutest.Stat(5, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_MAC)))
	in, out := io.Pipe()
	defer in.Close()
	go Run(t.Context(), out, "a test", []Source{{"a", h}}, Options{})
	l := &live{t: t, Reader: NewReader(in)}
	if rec := l.next(); !rec.Known || !rec.Master || rec.Session != 1 {
		t.Errorf("got %+v, want session 1, a master", rec)
	}
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("secret"))
	a.Send(t, m)
	if rec := l.want(1, m[:pdu.HeaderLen], abi.BroadcastExceptSender); rec.Length != len(m) {
		t.Errorf("length %d, want %d", rec.Length, len(m))
	}
}

// A capture with bodies begins with the users that the peers hold.
func TestKnownUsers(t *testing.T) {
	h := newHub()
	a, b := hubtest.Join(h), hubtest.Join(h)
	var stats []*pb.ServerUserStat
	for user := range uint32(600) {
		stats = append(stats, pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
	a.Send(t, pdutest.Online(stats...))
	b.Send(t, pdutest.Online(stats[:1]...))
	l := record(t, t.Context(), Options{Bodies: true, PDUs: 1}, h)
	reported := map[uint64][]uint32{}
	for len(reported[1]) < 600 || len(reported[2]) < 1 {
		rec := l.next()
		info, err := body.ReadOnlineUserInfo(rec.PDU[pdu.HeaderLen:], nil)
		if err != nil || !rec.Known {
			t.Fatalf("%+v, %v", rec, err)
		}
		for stat := range info.All() {
			reported[rec.Session] = append(reported[rec.Session], stat.User)
		}
	}
	for session, users := range reported {
		slices.Sort(users)
		if distinct := slices.Compact(slices.Clone(users)); len(distinct) != len(users) {
			t.Errorf("session %d holds some users twice", session)
		}
	}
	a.Send(t, pdutest.Heartbeat())
	if s := l.end(endedPDUs); s.PDUs != 1 {
		t.Errorf("%+v, want what was known not to count", s)
	}
}

// A capture has the users before the PDUs that arrive while it reads them, unless there are
// too many of those to keep.
func TestKnownUsersComeFirst(t *testing.T) {
	for _, c := range []struct {
		at    int // bytes written when they are announced
		many  bool
		first bool // the users are before them
	}{{100, false, true}, {100, true, true}, {70_000, false, true}, {70_000, true, false}} {
		h := newHub()
		a := hubtest.Join(h)
		var stats []*pb.ServerUserStat
		for user := range uint32(20_000) {
			stats = append(stats, pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
		}
		a.Send(t, pdutest.Online(stats...))
		talk := func() { a.Send(t, pdutest.Heartbeat()) }
		if c.many {
			talk = func() { a.Send(t, bytes.Repeat(pdutest.Heartbeat(), maxRecords)) }
		}
		file := &interrupted{at: c.at, call: talk}
		if err := Run(t.Context(), file, "a test", []Source{{"a", h}}, Options{Bodies: true, PDUs: 1}); err != nil {
			t.Fatal(err)
		}
		r := NewReader(&file.Buffer)
		users, before := 0, 0 // before the first PDU that was sent
		for sent := false; ; {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent = sent || rec.Kind == PDU && !rec.Known
			if rec.Kind == PDU && rec.Known {
				if users++; !sent {
					before++
				}
			}
		}
		if first := before == 20_000/usersStep; first != c.first || c.first && users != before {
			t.Errorf("%+v: %d of %d PDUs with users are before them", c, before, users)
		}
	}
}

// An interrupted file calls a function once, after so many bytes.
type interrupted struct {
	bytes.Buffer
	at   int
	call func()
}

func (f *interrupted) Write(p []byte) (int, error) {
	n, err := f.Buffer.Write(p)
	if f.call != nil && f.Len() > f.at {
		f.call()
		f.call = nil
	}
	return n, err
}

func TestRedactedAndFiltered(t *testing.T) {
	h := newHub()
	a, _ := hubtest.Join(h), hubtest.Join(h)
	l := record(t, t.Context(), Options{Bodies: true, PDUs: 1, Commands: []pdu.CommandID{pdu.CID_MSG_DATA}, Redact: []Field{field(t, "CID_MSG_DATA.*")}}, h)
	a.Send(t, pdutest.Heartbeat(), pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("secret")))
	if rec := l.want(1, pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 6)), abi.BroadcastExceptSender); !rec.Redacted {
		t.Error("it is not marked as redacted")
	}
	if s := l.end(endedPDUs); s.PDUs != 1 {
		t.Errorf("%+v, want what was not asked for not to count", s)
	}
	if tenant := l.Tenants()[0]; !slices.Equal(tenant.Commands, []pdu.CommandID{pdu.CID_MSG_DATA}) || tenant.Redacted[0].String() != "CID_MSG_DATA.*" {
		t.Errorf("it says of itself %+v", tenant)
	}
}

func TestTenantsApart(t *testing.T) {
	one, two := newHub(), newHub()
	a, _ := hubtest.Join(one), hubtest.Join(one)
	_, b := hubtest.Join(two), hubtest.Join(two)
	l := record(t, t.Context(), Options{PDUs: 2}, one, two)
	a.Send(t, pdutest.Heartbeat())
	if rec := l.next(); rec.Tenant != 0 || rec.Session != 1 {
		t.Errorf("got %+v, want tenant 0, session 1", rec)
	}
	b.Send(t, pdutest.Heartbeat())
	if rec := l.next(); rec.Tenant != 1 || rec.Session != 2 {
		t.Errorf("got %+v, want tenant 1, session 2", rec)
	}
}

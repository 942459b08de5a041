package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

const farBehind = 64 << 20

// roleRules are rules whose inspection broadcasts the PDU to all if its sender is master,
// and consumes it otherwise.
type roleRules struct{ policytest.Rules }

func (roleRules) Inspect(_ policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if q.Attributes&abi.AttributeMaster != 0 {
		return abi.BroadcastAll, nil
	}
	return abi.Consume, nil
}

func newHub(r policytest.Rules) *Hub { return New(policytest.Active(roleRules{r}), farBehind) }

// The commands that commonRules broadcasts.
const (
	others   = pdu.CID_MSG_DATA
	everyone = pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY
)

func commonRules() policytest.Rules {
	return policytest.Rules{
		0x7777:                                  abi.Drop | abi.Log,
		others:                                  abi.BroadcastExceptSender,
		everyone:                                abi.BroadcastAll,
		pdu.CID_OTHER_HEARTBEAT:                 abi.Consume,
		pdu.CID_OTHER_ONLINE_USER_INFO:          abi.Handle | abi.OnlineUserInfo<<32,
		pdu.CID_OTHER_USER_STATUS_UPDATE:        abi.Handle | abi.UserStatusUpdate<<32,
		pdu.CID_OTHER_ROLE_SET:                  abi.Handle | abi.RoleSet<<32,
		pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST: abi.Handle | abi.UsersStatusRequest<<32,
	}
}

func message(c pdu.CommandID, seq uint16, text string) []byte {
	return pdu.Append(nil, pdu.SID_MSG, c, seq, []byte(text))
}

func TestActions(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToSender<<16
	h := newHub(r)
	a, b, c := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)

	m := message(others, 1, "to others")
	a.Send(t, m)
	a.Expect(t, "sender")
	b.Expect(t, "b", m)
	c.Expect(t, "c", m)

	m = message(everyone, 2, "to all")
	a.Send(t, m)
	for name, g := range map[string]*hubtest.Peer{"sender": a, "b": b, "c": c} {
		g.Expect(t, name, m)
	}

	m = message(pdu.CID_MSG_READ_ACK, 3, "to myself")
	a.Send(t, m)
	a.Expect(t, "sender", m)
	b.Expect(t, "b")

	a.Send(t, message(pdu.CID_OTHER_HEARTBEAT, 4, ""), message(0x7777, 5, "unknown"), message(0x7778, 6, "unknown, and without LOG"))
	a.Expect(t, "sender")
	b.Expect(t, "b")
	if len(a.Notes) != 1 || a.Notes[0].Dropped != ByPolicy || a.Notes[0].Header.Command != 0x7777 {
		t.Errorf("notes: %+v, want the drop", a.Notes)
	}

	c4 := h.Counts()
	if c4.Received != 6 || c4.Dropped[ByPolicy] != 2 || c4.Actions[policy.Consume] != 1 || c4.Actions[policy.BroadcastAll] != 1 {
		t.Errorf("counts: %+v", c4)
	}
	if c4.Delivered != 2+3+1 || c4.Pending != 0 {
		t.Errorf("delivered %d of %d copies, want 6 of 6", c4.Delivered, c4.Due)
	}
}

func TestCloseEndsTheBatch(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Close
	h := newHub(r)
	a, b := hubtest.Join(h), hubtest.Join(h)
	before, after := message(others, 1, "before"), message(others, 2, "after")
	err := h.Handle(a.Seat, bytes.Join([][]byte{before, message(pdu.CID_MSG_READ_ACK, 0, ""), after}, nil))
	if !errors.Is(err, ErrClose) {
		t.Errorf("Handle = %v, want ErrClose", err)
	}
	b.Expect(t, "b", before)
	if c := hubtest.Conserved(t, h); c.Received != 3 || c.Dropped[SessionEnded] != 1 {
		t.Errorf("received %d, dropped %v; want 3, and the one behind", c.Received, c.Dropped)
	}
}

// What is sent to a peer that has left is not due to it.
func TestSendToOneThatLeft(t *testing.T) {
	h := newHub(commonRules())
	a := hubtest.Join(h)
	m := message(others, 1, "of the hub's own")
	h.Send(a.Seat, m)
	h.Leave(a.Seat)
	h.Send(a.Seat, m)
	a.Expect(t, "a", m)
	if c := h.Counts(); c.Made != 1 || c.Due != 1 {
		t.Errorf("made %d PDUs and %d copies, want one", c.Made, c.Due)
	}
}

// A peer is behind as long as a part of an edit is left, also at the end of the log.
func TestBehindWithinAnEdit(t *testing.T) {
	h := newHub(commonRules())
	a := hubtest.Join(h)
	h.Send(a.Seat, message(others, 1, "of the hub's own"))
	a.ReadSome(1<<20, 10)
	if !a.Behind(h.Head()) {
		t.Error("not behind though it has taken 10 bytes of a PDU")
	}
	if a.Read(); a.Behind(h.Head()) {
		t.Error("behind though it has taken everything")
	}
}

// A peer gets nothing that was sent before it joined or after it left.
func TestJoinAndLeave(t *testing.T) {
	h := newHub(commonRules())
	a := hubtest.Join(h)
	first, second, third := message(others, 1, "1"), message(others, 2, "2"), message(others, 3, "3")
	a.Send(t, first)
	b := hubtest.Join(h)
	a.Send(t, second)
	h.Leave(b.Seat)
	a.Send(t, third)
	b.Expect(t, "b", second)
	b.Release(PeerClosed)
	if c := h.Counts(); len(c.Discarded) != 0 || c.Sessions != 1 {
		t.Errorf("counts: %+v", c)
	}
}

// Release counts the copies that were not sent whole as discarded.
func TestReleaseCountsDiscarded(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	for range 10 {
		a.Send(t, message(others, 0, "0123456789"))
	}
	b.ReadSome(1<<20, 26*3+5) // three and a part of the fourth
	h.Leave(b.Seat)
	b.Release(PeerReset)
	if c := h.Counts(); c.Delivered != 3 || c.Discarded[PeerReset] != 7 || c.Due != 10 {
		t.Errorf("counts: %+v, want 3 delivered, 7 discarded", c)
	}
}

// ROLE_SET changes how the next PDU of the same batch is judged.
func TestRoleCountsFromTheNextPDUOn(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Drop | abi.InspectHeader
	h := newHub(r)
	a := hubtest.Join(h)
	before, after := message(pdu.CID_MSG_READ_ACK, 1, ""), message(pdu.CID_MSG_READ_ACK, 2, "")
	a.Send(t, before, message(pdu.CID_OTHER_ROLE_SET, 0, "\x08\x01"), after, message(pdu.CID_OTHER_ROLE_SET, 0, "\x08\x00"), before)
	a.Expect(t, "a", after)
}

func online(users ...uint32) []byte {
	var b []byte
	for _, u := range users {
		b = append(b, 0x0a, 6, 0x08, byte(u), 0x10, 1, 0x18, 1)
	}
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, b)
}

func TestUnicast(t *testing.T) {
	const field12 = abi.Unicast | abi.ToFields<<16 | 6<<32
	for _, tt := range []struct {
		name    string
		verdict policy.Verdict
		body    string
		want    string // which peers get it, of a (the sender, user 1 and 3), b (user 2), c (user 3, master)
		dropped Reason
	}{
		{"sender", abi.Unicast, "", "a", ""},
		{"session", abi.Unicast | abi.ToSession<<16 | 2<<32, "", "b", ""},
		{"no session", abi.Unicast | abi.ToSession<<16 | 99<<32, "", "", NoHolder},
		{"user", abi.Unicast | abi.ToUser<<16 | 2<<32, "", "b", ""},
		{"user of two", abi.Unicast | abi.ToUser<<16 | 3<<32, "", "ac", ""},
		{"user of two, not the sender", abi.Unicast | abi.ToUser<<16 | 3<<32 | abi.NotSender, "", "c", ""},
		{"own user, not the sender", abi.Unicast | abi.ToUser<<16 | 1<<32 | abi.NotSender, "", "", NoHolder},
		{"unknown user", abi.Unicast | abi.ToUser<<16 | 9<<32, "", "", NoHolder},
		{"unknown user, else broadcast", abi.Unicast | abi.ToUser<<16 | 9<<32 | abi.ElseBroadcast, "", "bc", ""},
		{"master", abi.Unicast | abi.ToMaster<<16, "", "c", ""},
		{"fields", field12, "\x08\x01\x10\x02", "ab", ""},
		{"fields, each once", field12, "\x08\x03\x10\x03\x08\x01", "ac", ""},
		{"fields, one unknown", field12, "\x08\x02\x10\x09", "b", ""},
		{"fields, one unknown, else broadcast", field12 | abi.ElseBroadcast, "\x08\x02\x10\x09", "bc", ""},
		{"fields, none there", field12, "\x18\x02", "", NoHolder},
		{"fields, malformed", field12, "\x08", "", MalformedBody},
		{"fields, too many", field12, strings.Repeat("\x08\x02", MaxNamed+1), "", TooManyUsers},
		{"fields, malformed, else broadcast", field12 | abi.ElseBroadcast, "\x08", "bc", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := commonRules()
			r[others] = tt.verdict
			h := newHub(r)
			a, b, c := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
			a.Send(t, online(1, 3))
			b.Send(t, online(2))
			c.Send(t, online(3), message(pdu.CID_OTHER_ROLE_SET, 0, "\x08\x01"))

			m := message(others, 1, tt.body)
			a.Send(t, m)
			got := ""
			for i, g := range []*hubtest.Peer{a, b, c} {
				if string(g.Read()) == string(m) {
					got += string(rune('a' + i))
				} else if len(g.Got) > 0 {
					t.Errorf("%c got %x", 'a'+i, g.Got)
				}
			}
			if got != tt.want {
				t.Errorf("%q got it, want %q", got, tt.want)
			}
			if n := h.Counts().Dropped[tt.dropped]; tt.dropped != "" && n != 1 {
				t.Errorf("dropped %d for %s: %v", n, tt.dropped, h.Counts().Dropped)
			}
		})
	}
}

// Unicasts and broadcasts of one sender arrive in the order in which it sent them.
func TestUnicastsKeepTheirPlace(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToSession<<16 | 2<<32
	h := newHub(r)
	a, b := hubtest.Join(h), hubtest.Join(h)
	var sent [][]byte
	for i := range 100 {
		c := others
		if i%3 == 0 {
			c = pdu.CID_MSG_READ_ACK
		}
		sent = append(sent, message(c, uint16(i), fmt.Sprint("number ", i)))
	}
	a.Send(t, sent[:50]...)
	b.ReadSome(1000, 333)
	a.Send(t, sent[50:]...)
	b.Expect(t, "b", sent...)
}

func TestStatusRequestIsAnswered(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, online(7))
	b.Send(t, pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0x707, []byte("\x08\x01\x10\x07\x10\x08")))
	want := "\x08\x01" + "\x12\x04\x08\x07\x10\x01" + "\x12\x04\x08\x08\x10\x02" + "\xa2\x01\x00"
	b.Expect(t, "b", pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, 0x707, []byte(want)))
	a.Expect(t, "a")
}

func TestStatusUpdateIsAnnounced(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	b.Send(t, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 9, []byte("\x08\x01\x10\x07\x18\x01")))
	notices := append(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_LOGIN_STATUS_NOTIFY, 0, []byte("\x08\x07\x10\x01")),
		pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_STATUS_NOTIFY, 0, []byte("\x0a\x04\x08\x07\x10\x01"))...)
	a.Expect(t, "a", notices)
	b.Expect(t, "b", notices)
	if h.Users() != 1 {
		t.Errorf("%d users, want 1", h.Users())
	}
	h.Leave(b.Seat)
	if h.Users() != 0 {
		t.Errorf("%d users after their holder left, want 0", h.Users())
	}
}

func TestBadBodiesAreDropped(t *testing.T) {
	for reason, p := range map[Reason][]byte{
		MalformedBody: pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte("\x08")),
		BadStatus:     pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte("\x08\x04\x10\x07\x18\x01")),
		AnswerTooLong: pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, append([]byte("\x08\x01\x12\x80\x80\x80\x02"), make([]byte, 4<<20)...)),
	} {
		h := newHub(commonRules())
		a := hubtest.Join(h)
		a.Send(t, p)
		a.Expect(t, "sender")
		if c := h.Counts(); c.Dropped[reason] != 1 || len(a.Notes) != 1 || a.Notes[0].Dropped != reason {
			t.Errorf("%s: dropped %v, notes %+v", reason, c.Dropped, a.Notes)
		}
	}
}

package replay

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

func group(t *testing.T, name string) policy.Group {
	t.Helper()
	g, err := policy.GroupNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A groupPolicy drops what guests say, sends files to the archive, and broadcasts everything else.
type groupPolicy struct{ guests, archive policy.Group }

func (p groupPolicy) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if c == pdu.CID_FILE_NOTIFY {
		return policy.UnicastTo(p.archive), nil
	}
	return abi.BroadcastExceptSender | abi.InspectHeader, nil
}

func (p groupPolicy) Inspect(_ policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if slices.Contains(q.Groups, p.guests) {
		return abi.Drop, nil
	}
	return abi.BroadcastExceptSender, nil
}

func (groupPolicy) Close() error { return nil }

// Peers are in the groups that the capture says, from then on, with and without bodies.
func TestGroups(t *testing.T) {
	guests, archive := group(t, "guests"), group(t, "archive")
	for _, tenant := range []capture.Tenant{bodies, {Name: "default"}} {
		p := newTape(t, tenant)
		grouped := func(session uint64, m *hub.Membership) {
			p.add(capture.Record{Kind: capture.Grouped, Session: session, Membership: m})
		}
		p.joined(1, 2, 3, 4)
		grouped(2, &hub.Membership{Groups: []policy.Group{guests}})
		grouped(3, &hub.Membership{Groups: []policy.Group{archive}, Muted: true})
		p.says(1, message, pdutest.Raw(pdu.CID_FILE_NOTIFY, 1, nil))
		p.says(2, message)
		grouped(2, nil)
		p.says(2, message, message)
		r, err := Run(capture.NewReader(bytes.NewReader(p.file.Bytes())), "", Policy{Name: "groups", Policy: groupPolicy{guests, archive}})
		if err != nil {
			t.Fatal(err)
		}
		chats := command(t, r.Policies[0], pdu.CID_MSG_DATA)
		if want := (Tally{"drop": 1, "broadcast-except-sender": 3}); !maps.Equal(chats.Verdicts, want) || chats.Copies != 6 {
			t.Errorf("bodies %t: verdicts %v and %d copies, want %v and 6", tenant.Bodies, chats.Verdicts, chats.Copies, want)
		}
		if want := []*Peer{{1, 2, 2, 200}, {2, 3, 1, 100}, {3, 0, 1, 16}, {4, 0, 3, 300}}; !reflect.DeepEqual(r.Policies[0].Peers, want) {
			t.Errorf("bodies %t: peers get %+v", tenant.Bodies, r.Policies[0].Peers)
		}
	}
}

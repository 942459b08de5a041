package hub_test

import (
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A standby link that reports a new user finds the last room, however many users another one announces
// again meanwhile.
func TestRoomOfStandbyLinksDuringAnAnnouncement(t *testing.T) {
	const users = 2000
	f := newFleet(t, 1)
	m := f.hubs[0]
	m.SetPresenceLimits(users+1, 0)
	announces, reports := (&msgServer{all: f, name: "10.0.0.1"}).connect(m), (&msgServer{all: f, name: "10.0.0.2"}).connect(m)
	all := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, nil)
	for user := range uint32(users) {
		all = body.AppendOnlineUser(all, body.ServerUserStat{User: user, Status: body.Online, Client: body.ClientWindows})
	}
	pdu.SetLength(all)
	announces.Send(t, all)
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		for range 5 {
			if err := m.Handle(announces.Seat, all); err != nil {
				t.Error(err)
			}
		}
	}()
	on, off := statusUpdate(users, body.Online, body.ClientMac), statusUpdate(users, body.Offline, body.ClientMac)
	for over := false; !over; {
		reports.Send(t, on, off)
		select {
		case <-announced:
			over = true
		default:
		}
	}
	if c := hubtest.Conserved(t, m.Hub); c.Dropped[PresenceFull] != 0 || m.AsideEntries() != users {
		t.Errorf("%d PDUs were dropped, %d entries are kept; want 0, %d", c.Dropped[PresenceFull], m.AsideEntries(), users)
	}
}

//go:build full

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
)

// presenceTable is a policy that knows who is online, and does this with chats.
func presenceTable(action string) string {
	return savedTable(action) + "CID_OTHER_ONLINE_USER_INFO = \"handle online-user-info\"\n"
}

var announced = pdutest.Online(pdutest.Stat(7, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))

// wantUser asks a peer for the status of user 7.
func (c peer) wantUser(status pb.UserStatType) {
	c.t.Helper()
	c.say(pdutest.StatusRequest(9, 1, nil, 7))
	c.expect(pdutest.StatusResponse(9, 1, nil, pdutest.UserStat(7, status)))
}

// wantReconnected waits until all peers have been closed, and connects others.
func (r *released) wantReconnected(peers ...peer) {
	r.Helper()
	for _, c := range peers {
		expectEnd(r.T, c)
	}
	r.sender, r.receiver = r.dial(), r.dial()
	eventually(r.T, func() bool { s := r.status(); return s.OutdatedPeers == 0 && !s.Reconnecting },
		func() string { return r.command(0, "status") })
	r.wantMetrics(fmt.Sprintf(`connections_closed_total{reason="rollback",tenant="default"} %d`, len(peers)))
}

// A policy that drops announcements leaves users offline when it was rolled back. Peers that
// reconnect announce them again. That goes back no further than the rollback did.
func TestReconnectAfterRollback(t *testing.T) {
	t.Parallel()
	r := startReleased(t)
	path := filepath.Join(r.dir, "routes.toml")
	replace(t, path, presenceTable("broadcast-all"))
	r.expect("policy reloaded", `"history":2`)
	r.table("drop")
	r.awaitInForce("drop")
	r.sender.say(announced)
	r.sender.wantUser(pb.UserStatType_USER_STATUS_OFFLINE)
	r.command(0, "rollback", "--reason", "nobody is online")
	r.expect("let peers reconnect with 'switchyard policy rollback --reconnect'", `"peers":2`)
	if out := r.command(0, "status"); !strings.Contains(out, "tenant default: 2 peers announced their users to a policy that handled presence otherwise") {
		t.Errorf("status: %s", out)
	}
	r.receiver.wantUser(pb.UserStatType_USER_STATUS_OFFLINE)
	later := r.dial()
	for range 2 {
		if out := r.command(0, "rollback", "--reconnect"); !strings.Contains(out, "rolled back to") || !strings.Contains(out, "so that they reconnect") {
			t.Errorf("rollback --reconnect: %s", out)
		}
	}
	r.wantReconnected(r.sender, r.receiver)
	r.sender.say(announced)
	r.sender.wantUser(pb.UserStatType_USER_STATUS_ONLINE)
	later.wantUser(pb.UserStatType_USER_STATUS_ONLINE)
	if s := r.status(); s.Release != 4 || len(s.Held) != 1 {
		t.Errorf("it went back further: %+v", s)
	}
	r.command(64, "kill", "--reconnect")
	r.command(0, "kill")
	if out := r.command(0, "rollback", "--reconnect"); !strings.Contains(out, "killed; after revive, in force is "+history.Sum([]byte(presenceTable("broadcast-all")))[:8]) {
		t.Errorf("after a kill: %s", out)
	}
}

// The same with a release that all users obeyed. One command ends it and lets peers reconnect.
func TestReconnectAfterRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, strings.Replace(staged, "mode", "presence = \"at-once\", mode", 1))
	replace(t, filepath.Join(r.dir, "routes.toml"), presenceTable("broadcast-all"))
	r.expect("release begins")
	r.command(0, "promote")
	r.sender.say(announced)
	r.sender.wantUser(pb.UserStatType_USER_STATUS_ONLINE) // as the candidate says
	if out := r.command(0, "rollback", "--reconnect"); !strings.Contains(out, "2 peers have yet to be closed") {
		t.Errorf("rollback --reconnect: %s", out)
	}
	r.expect("release rolled back")
	r.expect("the previous policy handled presence differently")
	r.wantReconnected(r.sender, r.receiver)
	r.receiver.wantUser(pb.UserStatType_USER_STATUS_OFFLINE)
}

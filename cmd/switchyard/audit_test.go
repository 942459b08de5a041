//go:build full || race

package main

import (
	"path/filepath"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

func singleChat(from, to uint32) []byte {
	return pdutest.PDU(pdu.CID_MSG_DATA, 1, &pb.IMMsgData{FromUserId: &from, ToSessionId: &to, MsgId: proto.Uint32(1), CreateTime: proto.Uint32(1),
		MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte("hello")})
}

// An audit of unicast changes nothing, and after the switch to it the figures are those that the
// audit predicted.
func TestAuditThenSwitch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	save := func(tenant string) { replace(t, path, "[reload]\ndebounce = \"20ms\"\n[tenant.default]\n"+tenant) }
	save("")
	p := start(t, dir)
	a, b, c := p.dial(), p.dial(), p.dial()
	for user, peer := range map[uint32]peer{1: a, 2: b, 3: c} {
		peer.say(pdutest.Online(pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_MAC)))
		peer.settle()
	}
	save(`audit = "unicast"`)
	p.expect("audit begins", `"audited":"unicast"`, `"policy":"teamtalk"`, `"tenant":"default"`)

	m := singleChat(1, 2)
	for range 3 {
		a.say(m)
		b.expect(m)
		c.expect(m)
	}
	from := p.logged()
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, `"msg":"audit"`, `"command":"CID_MSG_DATA"`, `"pdus":3`, `"copies":6`, `"audited_copies":3`, `"useless":3`, `"missed":0`, `"faults":0`)
	p.expectFrom(from, `"msg":"audit totals"`, `"copies_saved":"50.0 %"`, `"bytes_saved":"50.0 %"`)

	from = p.logged()
	save("policy = \"unicast\"\naudit = \"teamtalk\"")
	p.expectFrom(from, "policy reloaded", `"policy":"unicast"`)
	p.expectFrom(from, "audit ends", `"audited":"unicast"`)
	p.expectFrom(from, "audit begins", `"audited":"teamtalk"`, `"policy":"unicast"`)
	a.say(m)
	b.expect(m)
	c.settle() // received nothing
	a.say(pdutest.PDU(pdu.CID_MSG_READ_NOTIFY, 1, &pb.IMMsgDataReadNotify{UserId: proto.Uint32(1), SessionId: proto.Uint32(2),
		MsgId: proto.Uint32(1), SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum()})) // no other peer has this user
	a.settle()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	p.expectFrom(from, `"msg":"audit totals"`, `"audited":"teamtalk"`, `"copies":1`, `"audited_copies":4`, `"missed":3`, `"copies_saved":"-300.0 %"`)
	p.expectFrom(from, `"msg":"PDUs"`, `"dropped":{"no-holder":1}`)
	if n := p.count(`"level":"WARN"`); n > 0 {
		t.Errorf("%d warnings, want none about what is configured", n)
	}
	checkCounts(t, p)
}

// A policy that cannot be loaded for an audit is refused, and changes nothing: the audit before
// continues, and so does routing.
func TestAuditRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	table := filepath.Join(dir, "next.toml")
	write(t, table, savedTable("drop"))
	p := start(t, dir, "--set", "reload.debounce=20ms", "--set", "tenant.default.audit=file:next.toml")
	p.expect("audit begins", `"audited":"file:next.toml"`, "94 drop")
	a, b := p.dial(), p.dial()
	m := singleChat(1, 2)
	a.say(m)
	b.expect(m)

	from := p.logged()
	replace(t, table, "[route]\nCID_MSG_DATA = \"brodcast-all\"\n")
	p.expectFrom(from, "audit refused; nothing changed", "audit of tenant default", "table gate", "broadcast-all")
	a.say(m)
	b.expect(m)
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, `"msg":"audit totals"`, `"copies":2`, `"audited_copies":0`)

	replace(t, table, savedTable("drop")) // as it was
	p.expectFrom(from, "the refused audit is gone")

	from = p.logged()
	replace(t, table, savedTable("broadcast-all")) // sound again: the counts begin again
	p.expectFrom(from, "audit begins")
	a.say(m)
	b.expect(m)
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, `"msg":"audit totals"`, `"copies":1`, `"audited_copies":2`)
	if n := p.count("policy reloaded"); n > 0 {
		t.Errorf("the policy in force was reloaded %d times", n)
	}
}

// An audited policy that fails at every PDU is counted, and disturbs no peer.
func TestHostileAudit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"trap", "endless_loop", "endless_recursion", "no_room"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir(), "--set", "tenant.default.audit="+guestPolicy(t, name))
			a, b := p.dial(), p.dial()
			var sent [][]byte
			for range 100 {
				sent = append(sent, singleChat(1, 2))
			}
			a.say(sent...)
			b.expect(sent...)
			p.signal(syscall.SIGTERM)
			if code := p.exit(); code != exitStopped {
				t.Errorf("exit code %d", code)
			}
			p.expect(`"msg":"audit"`, `"command":"CID_MSG_DATA"`, `"copies":100`, `"faults":100`)
			if n := p.count("failed to decide"); n > 0 {
				t.Errorf("%d lines say that the policy failed; it was not the one in force", n)
			}
			checkCounts(t, p)
		})
	}
}

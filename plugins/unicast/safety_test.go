package unicast

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/wasm"
)

var teamtalkModule = teamtalk.Module

// engine loads the policies of all tests, so that a module passes the slow gates once.
var engine = wasm.NewEngine(wasm.DefaultLimits(), nil)

// generation loads a module as the server does.
func generation(t testing.TB, module []byte) *policy.Generation {
	t.Helper()
	p, err := engine.Load(context.Background(), "under test", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewGeneration("under test", "", p)
}

// concerned returns the users that a PDU is about: a msg_server that has none of them
// ignores it. It follows what msg_servers do, independently of the policy.
func concerned(t testing.TB, p []byte) (users []uint32, everybody bool) {
	switch c := pdu.ParseHeader(p).Command; c {
	case pdu.CID_MSG_DATA:
		var m pb.IMMsgData
		unmarshal(t, p, &m)
		if m.GetMsgType() >= pb.MsgType_MSG_TYPE_GROUP_TEXT {
			return nil, true // each server asks the database who is in the group
		}
		return []uint32{m.GetFromUserId(), m.GetToSessionId()}, false
	case pdu.CID_MSG_READ_NOTIFY:
		var m pb.IMMsgDataReadNotify
		unmarshal(t, p, &m)
		return []uint32{m.GetUserId()}, false
	case pdu.CID_SWITCH_P2P_CMD:
		var m pb.IMP2PCmdMsg
		unmarshal(t, p, &m)
		return []uint32{m.GetFromUserId(), m.GetToUserId()}, false
	case pdu.CID_OTHER_SERVER_KICK_USER:
		var m pb.IMServerKickUser
		unmarshal(t, p, &m)
		return []uint32{m.GetUserId()}, false
	case pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
		var m pb.IMRemoveSessionNotify
		unmarshal(t, p, &m)
		return []uint32{m.GetUserId()}, false
	case pdu.CID_FILE_NOTIFY:
		var m pb.IMFileNotify
		unmarshal(t, p, &m)
		return []uint32{m.GetToUserId()}, false
	case pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY:
		var m pb.IMGroupChangeMemberNotify
		unmarshal(t, p, &m)
		return slices.Concat(m.GetChgUserIdList(), m.GetCurUserIdList()), false
	default:
		return nil, true
	}
}

// missed records that the server did not get a PDU that a broadcast would have brought it.
//
//	the server has none of the users         right
//	the hub did not know any of them there   a race, which no policy can win
//	the hub knew one of them there           wrong
//	the PDU is a kick of one of them         wrong, because nothing makes up for it
func (b *backend) missed(s *server, p []byte) {
	users, everybody := concerned(b.t, p)
	at, needed, known := b.known[number(p)][s], everybody, everybody
	for i, u := range users {
		if s.has(u) {
			needed = true
			known = known || at>>i&1 != 0
		}
	}
	switch {
	case !needed:
	case known || pdu.ParseHeader(p).Command == pdu.CID_OTHER_SERVER_KICK_USER:
		b.fail("server %d did not get %s", s.name, pdutest.Dump(p))
	default:
		b.racing++
	}
}

func report(t *testing.T, r result) {
	t.Helper()
	for _, wrong := range r.wrong[:min(len(r.wrong), 5)] {
		t.Error(wrong)
	}
	if len(r.wrong) > 0 {
		t.Errorf("%d such faults", len(r.wrong))
	}
}

// The policy saves as many copies as the README says, and an audit predicts exactly how many.
func TestSaving(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, servers := range []int{8, 32} {
		b := newBackend(t, 1, servers, generation(t, Module))
		b.calm = true
		b.morning()
		b.hubs[byBroadcast].SetAudit(generation(t, Module))
		t.Cleanup(func() { b.hubs[byBroadcast].SetAudit(nil) })
		r := b.run(300 * servers)
		report(t, r)

		var before, after, allBefore, allAfter policy.Copies
		rows := b.hubs[byBroadcast].Audit()
		for _, row := range rows {
			if sent := r.copies[byBroadcast][row.Command]; row.Sent != sent {
				t.Errorf("%v: the audit says that %+v were sent, and there were %+v", row.Command, row.Sent, sent)
			}
			if sent := r.copies[byPolicy][row.Command]; row.Audited != sent || row.Missed.PDUs != 0 || row.Faults != 0 {
				t.Errorf("%v: the audit says %+v, the policy sent %+v", row.Command, row, sent)
			}
			before.Add(row.Sent)
			after.Add(row.Audited)
			if row.Sent.PDUs > 0 {
				t.Logf("%2d servers: %-36v %6d copies, %6d by this policy", servers, row.Command, row.Sent.PDUs, row.Audited.PDUs)
			}
		}
		for _, c := range slices.Sorted(maps.Keys(r.copies[byBroadcast])) {
			allBefore.Add(r.copies[byBroadcast][c])
			allAfter.Add(r.copies[byPolicy][c])
		}
		t.Logf("%2d servers: forwarded %d copies of %d bytes, by this policy %d of %d: %.0f %% and %.0f %% less", servers,
			before.PDUs, before.Bytes, after.PDUs, after.Bytes, less(before.PDUs, after.PDUs), less(before.Bytes, after.Bytes))
		t.Logf("%2d servers: with notices %d copies of %d bytes, by this policy %d of %d: %.0f %% and %.0f %% less", servers,
			allBefore.PDUs, allBefore.Bytes, allAfter.PDUs, allAfter.Bytes, less(allBefore.PDUs, allAfter.PDUs), less(allBefore.Bytes, allAfter.Bytes))
		row := fmt.Sprintf("\n| %d | %s | %s | %.0f %% | %.0f %% |\n", servers, thousands(before.PDUs), thousands(after.PDUs),
			less(before.PDUs, after.PDUs), less(before.Bytes, after.Bytes))
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks the row %s", row)
		}
	}
}

// thousands writes a number from 1000 to 999999 with a comma.
func thousands(n uint64) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }

func less(before, after uint64) float64 { return 100 * (1 - float64(after)/float64(before)) }

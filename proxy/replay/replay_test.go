package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// rules is a policy with a verdict for each command. Its Inspect broadcasts to all what a
// master sends, and traps on bodies that begin with "!".
type rules map[pdu.CommandID]policy.Verdict

func (r rules) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if v, ok := r[c]; ok {
		return v, nil
	}
	return usual[c], nil
}

func (r rules) Inspect(v policy.Verdict, q policy.Question) (policy.Verdict, error) {
	switch {
	case v.Has(abi.InspectBodyOf) && bytes.HasPrefix(q.Body, []byte("!")):
		return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("!")}
	case v.Has(abi.InspectBodyOf) && bytes.HasPrefix(q.Body, []byte("x")):
		return abi.Consume, nil
	case q.Attributes&abi.AttributeMaster != 0 || q.Session == 3:
		return abi.BroadcastAll, nil
	}
	return abi.BroadcastExceptSender, nil
}

func (rules) Close() error { return nil }

const (
	toFields = abi.Unicast | abi.ToFields<<abi.SelectorShift
	toUsers  = toFields | abi.NotSender | abi.ElseBroadcast | (1<<1|1<<2)<<abi.ArgumentShift
)

// usual holds the verdicts for commands that rules does not name.
var usual = rules{
	pdu.CID_MSG_DATA:                        abi.BroadcastExceptSender,
	pdu.CID_MSG_READ_ACK:                    abi.BroadcastExceptSender | abi.InspectHeader,
	pdu.CID_MSG_READ_NOTIFY:                 abi.Consume | abi.InspectBodyOf,
	pdu.CID_SWITCH_P2P_CMD:                  toUsers,
	pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY:      abi.Unicast | abi.ToMaster<<abi.SelectorShift,
	pdu.CID_FILE_NOTIFY:                     abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift,
	pdu.CID_MSG_TIME_REQUEST:                abi.Unicast | abi.ToSession<<abi.SelectorShift | 2<<abi.ArgumentShift,
	pdu.CID_OTHER_HEARTBEAT:                 abi.Consume,
	pdu.CID_OTHER_ONLINE_USER_INFO:          abi.Handle | abi.OnlineUserInfo<<32,
	pdu.CID_OTHER_USER_STATUS_UPDATE:        abi.Handle | abi.UserStatusUpdate<<32,
	pdu.CID_OTHER_ROLE_SET:                  abi.Handle | abi.RoleSet<<32,
	pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST: abi.Handle | abi.UsersStatusRequest<<32,
	pdu.CID_OTHER_STOP_RECV_PACKET:          abi.Close,
}

// recordRandom lets peers send at random over a hub and starts recording in the middle. It
// returns the capture and what each session got from then on. In a bubble, the wait for the first
// statistics takes no time.
func recordRandom(t *testing.T, r rules, o capture.Options) (recording []byte, want map[uint64]Peer) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { recording, want = recordInBubble(t, r, o) })
	return recording, want
}

func recordInBubble(t *testing.T, r rules, o capture.Options) (recording []byte, want map[uint64]Peer) {
	random := rand.New(rand.NewPCG(1, 2))
	h := hub.New(policy.NewActive(policy.NewGeneration("served", "", r)), 1<<40)
	peers := make([]*hubtest.Peer, 0, 8)
	for range 4 {
		peers = append(peers, hubtest.Join(h))
	}
	talk := func(rounds int) {
		for range rounds {
			from := random.IntN(len(peers))
			switch random.IntN(60) {
			case 0:
				if len(peers) < cap(peers) {
					peers = append(peers, hubtest.Join(h))
				}
			default:
				h.ResetBreaker()
				h.Handle(peers[from].Seat, somePDU(random))
			}
		}
	}
	talk(300)
	for _, p := range peers {
		p.Read()
		p.Got = nil
	}
	in, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		done <- capture.Run(ctx, out, "a test", []capture.Source{{Name: "default", Hub: h}}, o)
		out.Close()
	}()
	var file bytes.Buffer
	copied := make(chan error, 1)
	go func() { copied <- capture.NewReader(io.TeeReader(in, &startDetector{&file, begun})).Copy(io.Discard) }()
	<-begun
	talk(2000)
	cancel()
	if err := errors.Join(<-done, <-copied); err != nil {
		t.Fatal(err)
	}
	want = make(map[uint64]Peer)
	for _, p := range peers {
		got := p.Read()
		want[p.Session()] = Peer{Session: p.Session(), Copies: uint64(len(pdutest.Split(got))), Bytes: uint64(len(got))}
	}
	return file.Bytes(), want
}

// A startDetector closes a channel when the recorder has written all peers that were connected
// before it.
type startDetector struct {
	file  *bytes.Buffer
	begun chan struct{}
}

func (b *startDetector) Write(p []byte) (int, error) {
	b.file.Write(p)
	if b.begun != nil && bytes.Contains(b.file.Bytes(), []byte("known before")) && b.settled() {
		close(b.begun)
		b.begun = nil
	}
	return len(p), nil
}

// settled reports whether the file has statistics, which follow the known state.
func (b *startDetector) settled() bool {
	return bytes.Contains(b.file.Bytes(), []byte{0, 0, 0, 5, 0, 0, 0, 52})
}

// somePDU returns a random PDU. Some of them change which peer holds which users.
func somePDU(r *rand.Rand) []byte {
	user := func() uint32 { return uint32(1 + r.IntN(12)) }
	pair := func(c pdu.CommandID) []byte {
		return pdutest.PDU(c, 1, &pb.IMUserStatusUpdate{UserStatus: ptr(user()), UserId: ptr(user()), ClientType: ptr(pb.ClientType_CLIENT_TYPE_IOS)})
	}
	client := pb.ClientType_CLIENT_TYPE_WINDOWS
	switch r.IntN(14) {
	case 0:
		return pdutest.Online(pdutest.Stat(user(), pb.UserStatType_USER_STATUS_ONLINE, client))
	case 1, 2:
		return pdutest.StatusUpdate(user(), uint32(1+r.IntN(2)), client)
	case 3:
		return pdutest.RoleSet(r.IntN(2) == 0)
	case 4:
		return pdutest.StatusRequest(1, 1, nil, user(), user())
	case 5:
		return pdutest.Heartbeat()
	case 6:
		return pdutest.Raw(pdu.CID_MSG_READ_ACK, 1, []byte("inspected"))
	case 7:
		return pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, []byte{"!xy"[r.IntN(3)]})
	case 8:
		return pair(pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY)
	case 9:
		return pair(pdu.CID_FILE_NOTIFY)
	case 10:
		return pdutest.Raw(pdu.CID_MSG_TIME_REQUEST, 1, []byte("to the second"))
	case 11:
		return pdutest.Raw(0x0999, 1, []byte("unknown"))
	case 12:
		return pair(pdu.CID_SWITCH_P2P_CMD)
	}
	return pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, r.IntN(2000)))
}

func ptr[T any](v T) *T { return &v }

// play replays a capture with policies called a, b, c.
func play(t *testing.T, recording []byte, policies ...rules) *Report {
	t.Helper()
	r, err := replayed(recording, "", policies...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func replayed(recording []byte, tenant string, policies ...rules) (*Report, error) {
	var all []Policy
	for i, p := range policies {
		all = append(all, Policy{Name: string(rune('a' + i)), Policy: p})
	}
	return Run(capture.NewReader(bytes.NewReader(recording)), tenant, all...)
}

// In a replay, the recorded policy gives the same verdicts and every peer gets the same
// bytes, although peers had come and gone before the recording began.
func TestReplayOfWhatServed(t *testing.T) {
	t.Parallel()
	recording, want := recordRandom(t, rules{}, capture.Options{Bodies: true})
	r := play(t, recording, rules{})
	p := r.Policies[0]
	var pdus uint64
	for _, c := range p.Commands {
		if pdus += c.PDUs; c.FromRecorded != nil || c.Undecided != nil || c.Unrouted != nil {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	if pdus != r.PDUs || pdus < 1900 || r.Missed != 0 || p.Faults[policy.FaultTrap] == 0 {
		t.Errorf("%d PDUs of %d, %d missed, faults %v", pdus, r.PDUs, r.Missed, p.Faults)
	}
	for session, w := range want {
		got := *p.peers[session]
		if got.PDUs = 0; got != w {
			t.Errorf("session %d gets %+v, and got %+v", session, got, w)
		}
	}
}

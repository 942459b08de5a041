package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/review"
	"switchyard/proxy/capture"
)

// A tape writes a capture record by record.
type tape struct {
	*testing.T
	*capture.Writer
	file   *bytes.Buffer
	tenant int
	bodies bool
	redact []capture.Field
	at     time.Time
}

func newTape(t *testing.T, tenants ...capture.Tenant) *tape {
	t.Helper()
	p := &tape{T: t, file: new(bytes.Buffer), bodies: tenants[0].Bodies, redact: tenants[0].Redacted, at: time.Unix(1_800_000_000, 0)}
	var err error
	if p.Writer, err = capture.NewWriter(p.file, "a test"); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		p.AddTenant(tenant)
	}
	return p
}

func (p *tape) add(r capture.Record) {
	p.Helper()
	p.at = p.at.Add(time.Millisecond)
	r.Tenant, r.Time = p.tenant, p.at
	if err := p.Write(&r); err != nil {
		p.Fatal(err)
	}
}

func (p *tape) joined(sessions ...uint64) {
	for _, s := range sessions {
		p.add(capture.Record{Kind: capture.Joined, Session: s})
	}
}

// says records PDUs of a session, with the verdicts of the usual policy by their ids.
func (p *tape) says(session uint64, pdus ...[]byte) {
	p.Helper()
	for _, b := range pdus {
		h := pdu.ParseHeader(b)
		r := capture.Record{Session: session, Verdict: usual[h.Command] &^ (abi.InspectHeader | abi.InspectBodyOf), PDU: b, Length: len(b)}
		if !p.bodies {
			r.PDU = b[:pdu.HeaderLen]
		}
		for _, f := range p.redact {
			r.Redacted = r.Redacted || f.Command == h.Command
		}
		p.add(r)
	}
}

var bodies = capture.Tenant{Name: "default", Bodies: true}

func fields(t *testing.T, texts ...string) (fields []capture.Field) {
	t.Helper()
	for _, text := range texts {
		f, err := capture.ParseField(text)
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, f)
	}
	return fields
}

func command(t *testing.T, r *Result, c pdu.CommandID) *Command {
	t.Helper()
	for _, one := range r.Commands {
		if one.ID == c {
			return one
		}
	}
	t.Fatalf("nothing about %v", c)
	return nil
}

func online(users ...uint32) []byte {
	var stats []*pb.ServerUserStat
	for _, u := range users {
		stats = append(stats, pdutest.Stat(u, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
	return pdutest.Online(stats...)
}

func p2p(from, to uint32) []byte {
	return pdutest.Raw(pdu.CID_SWITCH_P2P_CMD, 1, []byte{8, byte(from), 16, byte(to)})
}

var message = pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 84)) // 100 bytes

// Two policies are compared with the capture and with each other.
func TestComparison(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1, 2, 3)
	p.says(1, online(5))
	p.says(2, online(7))
	p.says(1, message, message, p2p(5, 7))
	p.says(3, p2p(5, 7))
	r := play(t, p.file.Bytes(), rules{}, rules{pdu.CID_MSG_DATA: abi.BroadcastAll}, rules{pdu.CID_SWITCH_P2P_CMD: toFields | 1<<1<<abi.ArgumentShift | abi.NotSender})
	a, b, c := r.Policies[0], r.Policies[1], r.Policies[2]
	if m := command(t, a, pdu.CID_MSG_DATA); m.PDUs != 2 || m.Received != 200 || m.Copies != 4 || m.Sent != 400 || m.FromRecorded != nil || m.FromFirst != nil {
		t.Errorf("as it served: %+v", m)
	}
	if m := command(t, a, pdu.CID_SWITCH_P2P_CMD); m.Copies != 3 || m.Verdicts["unicast fields 1 2, not-sender, else-broadcast"] != 2 {
		t.Errorf("unicast: %+v", m)
	}
	change := Changes{{"broadcast-except-sender", "broadcast-all", 2}}
	if m := command(t, b, pdu.CID_MSG_DATA); m.Copies != 6 || !reflect.DeepEqual(m.FromRecorded, change) || !reflect.DeepEqual(m.FromFirst, change) {
		t.Errorf("to all: %+v", m)
	}
	if m := command(t, c, pdu.CID_SWITCH_P2P_CMD); m.Copies != 1 || !maps.Equal(m.Dropped, Tally{"no-holder": 1}) {
		t.Errorf("to the one user: %+v", m)
	}
	want := []*Peer{{1, 4, 1, 20}, {2, 1, 4, 240}, {3, 1, 2, 200}}
	if !reflect.DeepEqual(a.Peers, want) {
		t.Errorf("peers get %+v %+v %+v, want %+v %+v %+v", a.Peers[0], a.Peers[1], a.Peers[2], want[0], want[1], want[2])
	}
	weights, unknown := r.Weights(1)
	if got := weights[policy.IDs{Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}]; unknown != 0 ||
		got != (review.Weight{PDUs: 2, Bytes: 200, Changed: 2, CopiesBefore: 4, CopiesAfter: 6, SentBefore: 400, SentAfter: 600}) {
		t.Errorf("weights %+v, %d not known", got, unknown)
	}
}

// Sessions keep their numbers, for policies that decide by them.
func TestSessionNumbers(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(50, 60)
	p.says(50, message)
	r := play(t, p.file.Bytes(), rules{pdu.CID_MSG_DATA: abi.Unicast | abi.ToSession<<abi.SelectorShift | 60<<abi.ArgumentShift})
	if want := (Peer{60, 0, 1, 100}); len(r.Policies[0].Peers) != 2 || *r.Policies[0].Peers[1] != want {
		t.Errorf("peers get %+v, want %+v", r.Policies[0].Peers, want)
	}
}

// The same capture gives the same report, byte for byte.
func TestRepeatable(t *testing.T) {
	t.Parallel()
	recording, _ := recordRandom(t, rules{}, capture.Options{Bodies: true})
	var reports []string
	for range 3 {
		r := play(t, recording, rules{}, rules{pdu.CID_MSG_DATA: abi.BroadcastAll})
		for _, p := range r.Policies {
			p.Time = 0
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, string(text))
	}
	if reports[0] != reports[1] || reports[1] != reports[2] {
		t.Errorf("three replays report\n%s\n%s\n%s", reports[0], reports[1], reports[2])
	}
}

// From a capture of headers alone, the report has what the headers determine, and nothing
// is guessed.
func TestHeadersAlone(t *testing.T) {
	p := newTape(t, capture.Tenant{Name: "default"})
	p.joined(1, 2, 3)
	p.says(1, online(5), message, pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, []byte("x")), pdutest.Raw(pdu.CID_MSG_READ_ACK, 1, []byte("abc")),
		p2p(5, 7), pdutest.Raw(pdu.CID_FILE_NOTIFY, 1, []byte("x")), pdutest.Raw(pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY, 1, []byte("x")))
	p.says(2, pdutest.RoleSet(true), pdutest.Raw(pdu.CID_MSG_READ_ACK, 1, []byte("abc")), pdutest.Raw(pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY, 1, []byte("x")))
	result := play(t, p.file.Bytes(), rules{}).Policies[0]
	for c, want := range map[pdu.CommandID]Command{
		pdu.CID_MSG_DATA:                   {Copies: 2, Sent: 200},
		pdu.CID_MSG_READ_NOTIFY:            {Undecided: Tally{noBody: 1}},
		pdu.CID_MSG_READ_ACK:               {Copies: 2, Sent: 38, Undecided: Tally{rolesUnknown: 1}},
		pdu.CID_SWITCH_P2P_CMD:             {Unrouted: Tally{noBody: 1}},
		pdu.CID_FILE_NOTIFY:                {Unrouted: Tally{presenceUnknown: 1}},
		pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY: {Unrouted: Tally{rolesUnknown: 1}},
		pdu.CID_OTHER_ROLE_SET:             {Unrouted: Tally{noBody: 1}},
		pdu.CID_OTHER_ONLINE_USER_INFO:     {Unrouted: Tally{noBody: 1}},
	} {
		got := command(t, result, c)
		if got.Copies != want.Copies || got.Sent != want.Sent || !maps.Equal(got.Undecided, want.Undecided) || !maps.Equal(got.Unrouted, want.Unrouted) {
			t.Errorf("%v: %+v, want %+v", c, got, want)
		}
	}
}

// A redacted field makes an outcome unknown only if the outcome depends on it.
func TestRedacted(t *testing.T) {
	t.Parallel()
	tenant := bodies
	tenant.Redacted = fields(t, "CID_SWITCH_P2P_CMD.cmd_msg_data", "CID_MSG_READ_NOTIFY.session_id", "CID_FILE_NOTIFY.to_user_id")
	p := newTape(t, tenant)
	p.joined(1, 2)
	p.says(1, online(5))
	p.says(2, online(7))
	p.says(1, p2p(5, 7), pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, []byte("x")), pdutest.Raw(pdu.CID_FILE_NOTIFY, 1, []byte("\x10\x00")))
	result := play(t, p.file.Bytes(), rules{pdu.CID_FILE_NOTIFY: toFields | 1<<2<<abi.ArgumentShift}).Policies[0]
	if c := command(t, result, pdu.CID_SWITCH_P2P_CMD); c.Copies != 1 || c.Unrouted != nil {
		t.Errorf("another field decides: %+v", c)
	}
	if c := command(t, result, pdu.CID_MSG_READ_NOTIFY); c.Redacted != 1 || c.Verdicts["consume"] != 1 {
		t.Errorf("the body is inspected: %+v", c)
	}
	if c := command(t, result, pdu.CID_FILE_NOTIFY); !maps.Equal(c.Unrouted, Tally{redactedBody: 1}) {
		t.Errorf("the field decides: %+v", c)
	}
	if result.Calls != 1 {
		t.Errorf("the policy was called %d times, want once, for the body that is inspected", result.Calls)
	}
}

// Without the PDUs that announce users, the receivers of unicasts are unknown.
func TestPresenceNotRecorded(t *testing.T) {
	tenant := bodies
	tenant.Commands = []pdu.CommandID{pdu.CID_SWITCH_P2P_CMD, pdu.CID_MSG_DATA}
	p := newTape(t, tenant)
	p.joined(1, 2)
	p.says(1, p2p(5, 7), message)
	r := play(t, p.file.Bytes(), rules{})
	if c := command(t, r.Policies[0], pdu.CID_SWITCH_P2P_CMD); !r.Filtered || !maps.Equal(c.Unrouted, Tally{presenceUnknown: 1}) || len(c.Verdicts) != 1 {
		t.Errorf("%+v", c)
	}
	if c := command(t, r.Policies[0], pdu.CID_MSG_DATA); c.Copies != 1 {
		t.Errorf("%+v", c)
	}
	if _, unknown := r.Weights(0); unknown != 1 {
		t.Errorf("copies of %d PDUs are not known, want 1", unknown)
	}
}

// After a policy has closed a sender, it judges nothing more of that sender.
func TestClosedSender(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1, 2)
	p.says(1, message, pdutest.Raw(pdu.CID_OTHER_STOP_RECV_PACKET, 1, nil), message)
	p.says(2, message)
	result := play(t, p.file.Bytes(), rules{}).Policies[0]
	if c := command(t, result, pdu.CID_MSG_DATA); c.Copies != 1 || !maps.Equal(c.Undecided, Tally{senderClosed: 1}) {
		t.Errorf("%+v", c)
	}
}

func TestTenants(t *testing.T) {
	p := newTape(t, bodies, capture.Tenant{Name: "acme", Bodies: true})
	p.joined(1, 2)
	p.says(1, message)
	p.tenant = 1
	p.joined(1, 2)
	p.says(1, message, message)
	for tenant, want := range map[string]uint64{"default": 1, "acme": 2} {
		r, err := replayed(p.file.Bytes(), tenant, rules{})
		if err != nil || r.Tenant != tenant || r.PDUs != want {
			t.Errorf("%s: %+v, %v, want %d PDUs", tenant, r, err, want)
		}
	}
	for tenant, want := range map[string]string{"": "the capture has acme, default", "nobody": `no "nobody", but acme, default`} {
		if _, err := replayed(p.file.Bytes(), tenant, rules{}); !errors.Is(err, ErrTenant) || !strings.Contains(err.Error(), want) {
			t.Errorf("tenant %q: %v, want %q", tenant, err, want)
		}
	}
}

// In a file of several captures, equal session numbers mean different sessions.
func TestJoinedRecordings(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1, 2)
	p.says(1, message)
	twice := append(bytes.Clone(p.file.Bytes()), p.file.Bytes()...)
	r := play(t, twice, rules{})
	if c := command(t, r.Policies[0], pdu.CID_MSG_DATA); c.PDUs != 2 || c.Copies != 2 {
		t.Errorf("%+v, want 2 copies of 2 PDUs", c)
	}
}

// A truncated capture is replayed up to its end.
func TestCutRecording(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1, 2)
	p.says(1, message, message)
	r, err := replayed(p.file.Bytes()[:p.file.Len()-1], "", rules{})
	var format *capture.FormatError
	if !errors.As(err, &format) || !format.Cut || r == nil || r.PDUs != 1 || len(r.Policies) != 1 {
		t.Errorf("%+v, %v, want one PDU and where it was cut", r, err)
	}
	for _, nothing := range []string{"", "not a capture", p.file.String()[:40]} {
		if r, err := replayed([]byte(nothing), "", rules{}); r != nil || !errors.As(err, &format) {
			t.Errorf("%q: %+v, %v, want an error alone", nothing, r, err)
		}
	}
}

// A forged capture cannot make a replay run forever or take unbounded memory.
func TestNonsense(t *testing.T) {
	t.Parallel()
	p := newTape(t, bodies)
	left := func(s uint64) { p.add(capture.Record{Kind: capture.Left, Session: s}) }
	p.says(0, message)
	p.says(1<<64-1, message)
	p.joined(9, 9, 3, 1<<64-1, 1<<64-2, 0, 0)
	left(77)
	p.says(9, message)
	left(9)
	left(9)
	p.says(9, online(5), p2p(5, 5))
	for id := range pdu.CommandID(6000) {
		p.says(3, pdutest.Raw(0x8000+id, 1, nil))
	}
	r := play(t, p.file.Bytes(), rules{})
	if n := len(r.Policies[0].Commands); n > mostIDs+1 {
		t.Errorf("%d commands are told apart, want at most %d", n, mostIDs)
	}
	for range maxPeers + 1 {
		p.joined(uint64(p.at.UnixMilli()))
	}
	_, err := replayed(p.file.Bytes(), "", rules{})
	if err == nil || !strings.Contains(err.Error(), "peers at a time") {
		t.Errorf("%v, want that there are too many peers", err)
	}
	big := newTape(t, capture.Tenant{Name: "default"})
	h := pdu.Header{Length: 1 << 30, Command: pdu.CID_MSG_DATA}.Append(nil)
	big.add(capture.Record{Session: 1, PDU: h, Length: 1 << 30})
	if _, err := replayed(big.file.Bytes(), "", rules{}); err == nil || !strings.Contains(err.Error(), "1073741824 bytes") {
		t.Errorf("%v, want that the PDU is too large", err)
	}
}

// The number of different verdicts in a report is bounded.
func TestManyVerdicts(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1)
	for i := range 300 {
		p.says(1, pdutest.Raw(pdu.CommandID(i), 1, nil))
	}
	all := Policy{Policy: sequence{new(uint32)}}
	r, err := Run(capture.NewReader(io.MultiReader(p.file)), "", all)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Policies[0].Commands {
		if len(c.FromRecorded) > mostKinds || len(c.Verdicts) > mostKinds {
			t.Errorf("%+v", c)
		}
	}
	var tally Tally
	var changes Changes
	for i := range 3 * mostKinds {
		tally.add(strings.Repeat("x", i))
		changes.add("", strings.Repeat("x", i))
	}
	if len(tally) > mostKinds+1 || tally.Sum() != 3*mostKinds || len(changes) > mostKinds || changes.PDUs() != 3*mostKinds {
		t.Errorf("%d kinds of %d, %d changes of %d", len(tally), tally.Sum(), len(changes), changes.PDUs())
	}
}

// sequence is a policy that returns another verdict each time.
type sequence struct{ n *uint32 }

func (s sequence) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	*s.n++
	return abi.Unicast | abi.ToSession<<abi.SelectorShift | policy.Verdict(*s.n)<<abi.ArgumentShift, nil
}
func (s sequence) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) { return v, nil }
func (sequence) Close() error                                                          { return nil }

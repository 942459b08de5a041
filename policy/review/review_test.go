package review

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/policy/table"
)

// routes extracts a routing table as it is written.
func routes(t *testing.T, text string) *Table {
	t.Helper()
	parsed, err := table.Parse("routes.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return extract(func(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) { return parsed.Verdict(s, c), nil })
}

// extract extracts the routing table of a policy that is a function.
func extract(classify func(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error)) *Table {
	p := &policytest.Policy{OnClassify: classify}
	return NewQuestions(nil, p).Extract(context.Background(), p)
}

// lines spells the rows for which there is a rule.
func lines(t *Table) (all []string) {
	for _, r := range t.Rows() {
		if !r.Alike {
			all = append(all, fmt.Sprintf("%s %s: %s", r.Scope, r.Command, r.Verdict))
		}
	}
	for _, r := range t.Rest() {
		all = append(all, fmt.Sprintf("%s else: %s", r.Scope, r.Verdict))
	}
	return all
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestRowsOfTheDefaultPolicy(t *testing.T) {
	got := routes(t, string(teamtalk.Table))
	wantLines(t, lines(got),
		"any CID_BUDDY_LIST_USERS_STATUS_REQUEST: handle users-status-request",
		"any CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY: broadcast-except-sender",
		"any CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY: broadcast-all",
		"any CID_MSG_DATA: broadcast-except-sender",
		"any CID_MSG_READ_NOTIFY: broadcast-except-sender",
		"any CID_GROUP_CHANGE_MEMBER_NOTIFY: broadcast-except-sender",
		"any CID_FILE_NOTIFY: broadcast-except-sender",
		"any CID_SWITCH_P2P_CMD: broadcast-except-sender",
		"any CID_OTHER_HEARTBEAT: consume",
		"any CID_OTHER_ROLE_SET: handle role-set",
		"any CID_OTHER_ONLINE_USER_INFO: handle online-user-info",
		"any CID_OTHER_USER_STATUS_UPDATE: handle user-status-update",
		"any CID_OTHER_SERVER_KICK_USER: broadcast-except-sender",
		"any else: drop, log")
	if n := len(got.Rows()); n != len(pdu.Commands) {
		t.Errorf("%d rows, want one for each of the %d commands", n, len(pdu.Commands))
	}
	if w := got.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
}

// Rules for one service, ranges and unknown commands get rows of their own, and none twice.
func TestRowsByService(t *testing.T) {
	wantLines(t, lines(routes(t, `
[route]
CID_MSG_DATA    = "broadcast-all"
CID_FILE_NOTIFY = "drop, log"
0x0720-0x0732   = "consume"
0xffff          = "close"
[service.SID_FILE]
CID_MSG_DATA     = "drop"
CID_FILE_REQUEST = "unicast sender"
else             = "drop"
[service.0xffff]
CID_FILE_NOTIFY  = "consume"
`)),
		"any but SID_FILE CID_MSG_DATA: broadcast-all",
		"SID_FILE CID_FILE_REQUEST: unicast sender",
		"SID_FILE CID_FILE_NOTIFY: drop, log",
		"0xffff CID_FILE_NOTIFY: consume",
		"any 0x0720-0x0730: consume",
		"any CID_OTHER_FILE_TRANSFER_REQ: consume",
		"any CID_OTHER_FILE_TRANSFER_RSP: consume",
		"any 0xffff: close",
		"any but SID_FILE else: drop, log",
		"SID_FILE else: drop")
}

// A range has one row, up to the highest id.
func TestRangesAreWhole(t *testing.T) {
	wantLines(t, lines(routes(t, `
[route]
0x0735-0xffff = "consume"
[service.SID_LOGIN]
0x0720 = "close"
[service.SID_MSG]
0x0720 = "close"
[service.SID_FILE]
0x0720 = "close"
`)),
		"SID_LOGIN, SID_MSG, SID_FILE 0x0720: close",
		"any 0x0735-0xffff: consume",
		"any else: drop, log")
}

func TestDecisionTakenApart(t *testing.T) {
	v := policy.Verdict(abi.Unicast | abi.ToFields<<abi.SelectorShift | abi.NotSender | abi.Log | abi.InspectBodyOf | 0b110<<abi.ArgumentShift)
	got, err := json.Marshal(Decide(v, pdu.CID_SWITCH_P2P_CMD))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"verdict":"unicast fields 1 2, not-sender, inspect-body, log","word":"0x0000000600030e03","action":"unicast",` +
		`"targets":"fields 1 2","fields":["from_user_id","to_user_id"],"flags":["not-sender","log"],"decided":"inspect_body"}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := Decide(v, pdu.CID_MSG_DATA).Text(), "unicast fields from_user_id to_session_id, not-sender, inspect-body, log"; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	if d := Decide(v, 0x0720); d.Text() != v.String() {
		t.Errorf("the text for an unknown command is %q, want %q", d.Text(), v)
	}
	if d := Decide(v, 0x0720); d.Fields != nil {
		t.Errorf("an unknown command has fields %q", d.Fields)
	}
	if d := Decide(abi.Handle|abi.RoleSet<<abi.ArgumentShift|abi.InspectHeader, 0); d.Handler != "role-set" || d.Decided != ByHeader || len(d.Flags) != 0 {
		t.Errorf("got %+v", d)
	}
}

// Faults for ids that the gates do not try are shown, and their number is bounded.
func TestFaultsAreRows(t *testing.T) {
	asked := 0
	fails := func(from, to pdu.CommandID) *Table {
		return extract(func(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
			asked++
			if _, known := pdu.CommandByID(c); known || c < from || c > to {
				return abi.Drop, nil
			}
			return 0, policytest.Trap("unreachable")
		})
	}
	wantLines(t, lines(fails(0x720, 0x722)), "any 0x0720-0x0722: drop (trap)", "any else: drop")
	asked = 0
	got := fails(0, 0xffff)
	if rest := got.Rest(); asked > mostFaults+len(pdu.Commands)*20 || rest[0].Fault != string(notAsked) {
		t.Errorf("asked %d times, the rest is %+v", asked, rest)
	}
}

// spell spells changes.
func spell(changes []Change) (all []string) {
	for _, c := range changes {
		line := fmt.Sprintf("%s %s: %s -> %s", c.Scope, c.Command, c.Before.Verdict, c.After.Verdict)
		if c.Alike {
			line += " alike"
		}
		if c.Unproven {
			line += " unproven"
		}
		all = append(all, line)
	}
	return all
}

func TestCompare(t *testing.T) {
	before := routes(t, "[route]\nCID_MSG_DATA = \"broadcast-all\"\nCID_FILE_NOTIFY = \"consume\"")
	if got := Compare(before, before, false); len(got) != 0 {
		t.Errorf("a table differs from itself: %q", spell(got))
	}
	after := routes(t, `
[route]
CID_MSG_DATA  = "broadcast-except-sender"
0x0720-0x0722 = "consume"
[service.SID_LOGIN]
CID_FILE_NOTIFY = "close"`)
	wantLines(t, spell(Compare(before, after, false)),
		"any CID_MSG_DATA: broadcast-all -> broadcast-except-sender",
		"any but SID_LOGIN CID_FILE_NOTIFY: consume -> drop, log",
		"SID_LOGIN CID_FILE_NOTIFY: consume -> close",
		"any 0x0720-0x0722: drop, log -> consume")

	changes := Compare(before, routes(t, "[route]\nCID_MSG_DATA = \"broadcast-all\"\nCID_FILE_NOTIFY = \"consume\"\nelse = \"drop\""), false)
	wantLines(t, spell(changes)[:2], "any else: drop, log -> drop", "SID_LOGIN CID_LOGIN_REQ_MSGSERVER: drop, log -> drop alike")
	if len(changes) != 1+len(pdu.Commands)-2 {
		t.Errorf("%d changes, want else and all commands but two", len(changes))
	}
}

// Two guests that inspect a PDU may differ; only traffic shows it.
func TestInspectionsAreUnproven(t *testing.T) {
	inspects := extract(func(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
		if c == pdu.CID_MSG_DATA {
			return abi.InspectBodyOf | abi.BroadcastAll, nil
		}
		return abi.Drop, nil
	})
	wantLines(t, spell(Compare(inspects, inspects, false)), "any CID_MSG_DATA: broadcast-all, inspect-body -> broadcast-all, inspect-body unproven")
	if got := Compare(inspects, inspects, true); len(got) != 0 {
		t.Errorf("the same module differs from itself: %q", spell(got))
	}
}

func TestWeigh(t *testing.T) {
	before := routes(t, "[route]\nCID_MSG_DATA = \"broadcast-all\"\nCID_FILE_NOTIFY = \"drop\"")
	after := routes(t, "[route]\nCID_MSG_DATA = \"consume\"\n0x0720-0x0722 = \"consume\"\nelse = \"drop\"\n[service.SID_LOGIN]\nCID_MSG_DATA = \"close\"")
	changes := Compare(before, after, false)
	total := Weigh(changes, Weights{
		{Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}:               {PDUs: 60, Bytes: 600, CopiesBefore: 120},
		{Service: pdu.SID_LOGIN, Command: pdu.CID_MSG_DATA}:             {PDUs: 10},
		{Service: pdu.SID_OTHER, Command: 0x0721}:                       {PDUs: 20},
		{Service: pdu.SID_OTHER, Command: 0x0900}:                       {PDUs: 5},
		{Service: pdu.SID_FILE, Command: pdu.CID_FILE_NOTIFY}:           {PDUs: 3},
		{Service: pdu.SID_OTHER, Command: pdu.CID_OTHER_HEARTBEAT}:      {PDUs: 2},
		{Service: pdu.SID_LOGIN, Command: pdu.CID_FILE_HAS_OFFLINE_REQ}: {PDUs: 0},
	})
	if total.PDUs != 100 || total.CopiesBefore != 120 || total.Share != 1 {
		t.Errorf("total %+v", total)
	}
	got := map[string]uint64{}
	for _, c := range changes {
		if c.Weight.PDUs > 0 {
			got[c.Scope.String()+" "+c.Command] = c.Weight.PDUs
		}
		if c.Command == "CID_MSG_DATA" && c.Services[0] == Any && (c.Weight.Share != 0.6 || c.Weight.Bytes != 600) {
			t.Errorf("weight %+v", c.Weight)
		}
	}
	want := map[string]uint64{"any but SID_LOGIN CID_MSG_DATA": 60, "SID_LOGIN CID_MSG_DATA": 10, "any 0x0720-0x0722": 20, "any else": 5, "SID_OTHER CID_OTHER_HEARTBEAT": 2}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWarnings(t *testing.T) {
	got := routes(t, "[route]\nCID_FILE_NOTIFY = \"unicast fields to_user_id\"\nCID_SWITCH_P2P_CMD = \"unicast master\"").Warnings()
	if len(got) != 2 || !strings.Contains(got[0], "online-user-info") || !strings.Contains(got[1], "role-set") {
		t.Errorf("got %q", got)
	}
}

// A rule that takes for a user what is not always one is warned of, with the field.
func TestMisroutingRulesAreWarnedOf(t *testing.T) {
	const handled = "CID_OTHER_ONLINE_USER_INFO = \"handle online-user-info\"\n"
	for rule, want := range map[string][]string{
		"CID_MSG_DATA = 'unicast fields to_session_id'":                                          {"CID_MSG_DATA", "to_session_id", "group"},
		"CID_MSG_DATA = 'unicast fields from_user_id to_session_id, not-sender, else-broadcast'": {"CID_MSG_DATA", "to_session_id", "group"},
		"CID_MSG_DATA = 'unicast fields 2'":                                                      {"to_session_id"},
		"CID_MSG_READ_NOTIFY = 'unicast fields session_id'":                                      {"CID_MSG_READ_NOTIFY", "session_id"},
		"CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY = 'unicast fields user_id session_id'":             {"session_id"},
		"CID_MSG_DATA = 'unicast fields 3'":                                                      {"msg_id", "not a user"},
		"CID_FILE_NOTIFY = 'unicast fields 31'":                                                  {"field 31", "does not have"},
		"CID_MSG_DATA = 'unicast fields from_user_id'":                                           nil,
		"CID_GROUP_CHANGE_MEMBER_NOTIFY = 'unicast fields 1 4 5'":                                nil,
	} {
		got := routes(t, "[route]\n"+handled+rule+"\n").Warnings()
		if len(want) == 0 {
			if len(got) > 0 {
				t.Errorf("%s: warned of %q", rule, got)
			}
			continue
		}
		if len(got) != 1 || !containsAll(got[0], want) {
			t.Errorf("%s: got %q, want %q", rule, got, want)
		}
	}
	got := routes(t, "[route]\n"+handled+"CID_MSG_DATA = 'broadcast-all'\n[service.SID_FILE]\nCID_MSG_DATA = 'unicast fields to_session_id'\n").Warnings()
	if len(got) != 1 {
		t.Errorf("a rule of one service: got %q", got)
	}
}

func containsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// Rules for ids that the protocol does not have are rows, and changes, like all others.
func TestIDsBeyondTheProtocol(t *testing.T) {
	before := "[route]\nCID_MSG_DATA = \"broadcast-all\"\n"
	after := before + "0x0900 = \"broadcast-all\"\n0x1200-0xfff0 = \"consume\"\n[service.0x4242]\n0x0a00 = \"close\"\nelse = \"consume\"\n"
	var tables [2]*table.Table
	for i, text := range []string{before, after} {
		parsed, err := table.Parse("routes.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		tables[i] = parsed
	}
	p, next := namer{tables[0], policy.Named{}}, namer{tables[1], policy.Named{Services: []pdu.ServiceID{0x4242}}}
	q := NewQuestions([]pdu.ServiceID{0x77}, p, next)
	old, extracted := q.Extract(t.Context(), p), q.Extract(t.Context(), next)
	wantLines(t, lines(extracted),
		"any CID_MSG_DATA: broadcast-all",
		"any 0x0900: broadcast-all",
		"0x4242 0x0a00: close",
		"any but 0x4242 0x1200-0xfff0: consume",
		"any but 0x4242 else: drop, log",
		"0x4242 else: consume")
	var changed []string
	for _, c := range Compare(old, extracted, false) {
		if !c.Alike {
			changed = append(changed, fmt.Sprintf("%s %s: %s -> %s", c.Scope, c.Command, c.Before.Verdict, c.After.Verdict))
		}
	}
	for _, want := range []string{"0x4242 else: drop, log -> consume", "any 0x0900: drop, log -> broadcast-all", "0x4242 0x0a00: drop, log -> close"} {
		if !slices.Contains(changed, want) {
			t.Errorf("no change %q in %q", want, changed)
		}
	}
	if text := extracted.Asked(); !strings.Contains(text, "0x0077") || !strings.Contains(text, "0x4242") || !extracted.Complete() {
		t.Errorf("asked about %s", text)
	}
}

// A namer is a table that knows its further services.
type namer struct {
	*table.Table
	named policy.Named
}

func (n namer) Named() policy.Named { return n.named }

func (n namer) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	return n.Verdict(s, c), nil
}

// If the time ends early, the pairs that were not asked about are reported as a row.
func TestPairsThatWereNotAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	p := &policytest.Policy{OnClassify: func(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
		if asked++; asked == 100_000 {
			cancel()
		}
		return abi.Consume, nil
	}}
	got := NewQuestions(nil, p).Extract(ctx, p)
	if rows := lines(got); got.Complete() || !strings.Contains(strings.Join(rows, "; "), "0xffff: drop (not-asked)") {
		t.Errorf("complete %v, rows %q", got.Complete(), rows)
	}
	if !strings.Contains(got.Asked(), "not asked about") || asked > 100_100 {
		t.Errorf("asked %d times, about %s", asked, got.Asked())
	}
}

// A peer that invents services leaves room for those that the policy names.
func TestServicesAreBounded(t *testing.T) {
	var seen []pdu.ServiceID
	for s := range pdu.ServiceID(1000) {
		seen = append(seen, 0x5000+s)
	}
	q := NewQuestions(seen, namer{nil, policy.Named{Services: []pdu.ServiceID{0x4242}, Partial: true}})
	if n := len(q.services); n > protocolServices+maxFurther+3 || !slices.Contains(q.services, 0x4242) || q.left == 0 || !q.partial {
		t.Errorf("%d services, %d left out, partial %v", n, q.left, q.partial)
	}
}

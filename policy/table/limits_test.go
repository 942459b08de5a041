package table

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

const limitedTable = `
[route]
CID_FILE_NOTIFY = "broadcast-except-sender, limit 30/min per peer burst 5, limit 500/s per tenant, else drop"
CID_MSG_READ_NOTIFY = "broadcast-all"
0x0720-0x072f = "broadcast-all, log, limit 7/s per tenant"
else = "unicast master, limit 1/s per peer"
[route.CID_MSG_DATA]
"msg_type = MSG_TYPE_SINGLE_AUDIO" = "broadcast-except-sender, limit 2/s per peer, else drop"
else = "broadcast-except-sender, limit 50/s per peer, else drop"
[service.SID_GROUP]
CID_MSG_READ_NOTIFY = "broadcast-all, limit 1/s per peer"
else = "broadcast-all, limit 9/s per peer, not-sender"
`

// The module of a table names the limits that the table has, in ranges, cases and services, and
// states them by rate_limit.
func TestLimitsOfTable(t *testing.T) {
	if _, err := Parse("x", []byte(limitedTable)); err == nil || !strings.Contains(err.Error(), "x:12: not-sender does nothing with broadcast-all") {
		t.Errorf("a wrong flag behind a limit: %v", err)
	}
	table := parse(t, strings.Replace(limitedTable, ", not-sender", "", 1))
	g := loadGuest(t, table.Module())
	limits := table.RateLimits()
	if len(limits) != 7 {
		t.Fatalf("limits: %v", limits)
	}
	for n := range abi.MaxLimits + 2 {
		var want policy.RateLimit
		if 1 <= n && n <= len(limits) {
			want = limits[n-1]
		}
		for scope, rate := range []policy.Rate{want.Peer, want.Tenant} {
			if got := g.call(abi.RateLimit, uint64(n), uint64(scope)); got != rate.Word() {
				t.Errorf("rate_limit(%d, %d) = %#x, want %#x", n, scope, got, rate.Word())
			}
		}
	}
	audio, text := []byte("\x28\x02"), []byte("\x28\x01")
	for _, test := range []struct {
		service pdu.ServiceID
		command pdu.CommandID
		body    []byte
		want    string
	}{
		{5, pdu.CID_FILE_NOTIFY, nil, "broadcast-except-sender, limit 30/min per peer burst 5, limit 500/s per tenant, else drop"},
		{3, pdu.CID_MSG_READ_NOTIFY, nil, "broadcast-all"},
		{7, 0x0725, nil, "broadcast-all, log, limit 7/s per tenant, else drop"},
		{7, 0x0799, nil, "unicast master, limit 1/s per peer, else drop"},
		{3, pdu.CID_MSG_DATA, audio, "broadcast-except-sender, limit 2/s per peer, else drop"},
		{3, pdu.CID_MSG_DATA, text, "broadcast-except-sender, limit 50/s per peer, else drop"},
		{4, pdu.CID_MSG_READ_NOTIFY, nil, "broadcast-all, limit 1/s per peer, else drop"},
		{4, 0x0799, nil, "broadcast-all, limit 9/s per peer, else drop"},
	} {
		v := g.judge(test.service, test.command, test.body)
		if got := limits.Spell(v); got != test.want {
			t.Errorf("%v, %v: %s, want %s", test.service, test.command, got, test.want)
		}
		if d := table.Decide(test.service, test.command, Sender{}, test.body); d.Verdict != v {
			t.Errorf("%v, %v: Decide says %v, the module %v", test.service, test.command, d.Verdict, v)
		}
	}
	again := parse(t, string(table.Text()))
	if !bytes.Equal(again.Module(), table.Module()) {
		t.Errorf("the text has another module:\n%s", table.Text())
	}
	if bytes.Contains(parse(t, "[route]\nelse = 'drop'").Module(), []byte(abi.RateLimit)) {
		t.Error("a table without limits exports rate_limit")
	}
}

// A rule for peers of a group, or for masters, has a limit of its own.
func TestLimitsFrom(t *testing.T) {
	table := parse(t, `
[route]
CID_MSG_DATA = "broadcast-all, limit 50/s per peer"
[from.master]
CID_MSG_DATA = "broadcast-all, limit 500/s per peer, else drop"
`)
	g := loadGuest(t, table.Module())
	for attributes, want := range map[uint64]string{
		0:                   "limit 50/s per peer, else drop",
		abi.AttributeMaster: "limit 500/s per peer, else drop",
	} {
		v := g.judgeFrom(3, pdu.CID_MSG_DATA, attributes, nil)
		if got := table.RateLimits().Of(v).String(); got != want {
			t.Errorf("attributes %d: %v has the limit %q, want %q", attributes, v, got, want)
		}
	}
}

// A table inherits the limits of the one that it extends, and changes or removes one with the row.
func TestLimitsExtend(t *testing.T) {
	table, err := Extend("routes.toml", []byte(`extends = "base.toml"
[route]
CID_MSG_DATA    = "broadcast-all"
CID_FILE_NOTIFY = "broadcast-all, limit 9/s per peer"
`), from(map[string]string{"base.toml": `
[route]
CID_MSG_DATA        = "broadcast-all, limit 1/s per peer"
CID_MSG_READ_NOTIFY = "broadcast-all, limit 2/s per peer"
CID_FILE_NOTIFY     = "broadcast-all, limit 3/s per peer"
`}))
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[pdu.CommandID]string{
		pdu.CID_MSG_DATA:        "broadcast-all",
		pdu.CID_MSG_READ_NOTIFY: "broadcast-all, limit 2/s per peer, else drop",
		pdu.CID_FILE_NOTIFY:     "broadcast-all, limit 9/s per peer, else drop",
	} {
		if got := table.Spell(table.Verdict(3, command)); got != want {
			t.Errorf("%v: %s, want %s", command, got, want)
		}
	}
	if len(table.RateLimits()) != 2 {
		t.Errorf("limits: %v", table.RateLimits())
	}
	if text := string(table.Text()); !strings.Contains(text, `CID_MSG_READ_NOTIFY = "broadcast-all, limit 2/s per peer, else drop"  # base.toml:4`) {
		t.Errorf("the text is\n%s", text)
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	many := "[route]\n"
	for c := range 64 {
		many += fmt.Sprintf("0x%04x = 'broadcast-all, limit 1/s per peer'\n", 0x0600+c)
	}
	for src, want := range map[string]string{
		"[route]\nCID_MSG_DATA = 'drop, limit 5/s per peer'": "x:2: a limit: drop sends nothing that could be limited; remove the limit",
		"[route]\nelse = 'consume, limit 5/s per peer'":      "x:2: a limit: consume sends nothing that could be limited; remove the limit",
		"[route]\nelse = 'close, limit 5/s per peer'":        "x:2: a limit: close sends nothing",
		"[route]\nCID_OTHER_ROLE_SET = 'handle role-set, limit 5/s per peer'": "x:2: a limit: handle role-set is how peers report their users and their role, once, " +
			"so dropping it would leave the hub wrong about them; remove the limit",
		"[route]\nCID_BUDDY_LIST_USERS_STATUS_REQUEST = 'handle users-status-request, limit 5/s per peer'": "",
		"[route.CID_MSG_DATA]\n'msg_type = 1' = 'broadcast-all, limit 0/s per peer'\nelse = 'drop'":        "x:2: the rate \"0/s\" lets nothing pass; write drop as the action if nothing is to pass",
		"[route]\n0x0720-0x072f = 'broadcast-all, limit 5/s'":                                              `x:2: "limit 5/s" does not say whose PDUs are counted together`,
		many: "x:1: the table and what it extends have 64 rows with a limit, at most 63 are possible; write ranges",
	} {
		_, err := Parse("x", []byte(src))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%.60s…\ngot  %s\nwant %s", src, got, want)
		}
	}
	for row, idle := range map[string]bool{
		"limit 50/s per peer, limit 50/s per tenant":                    true,
		"limit 50/s per peer, limit 51/s per tenant":                    false,
		"limit 50/s per peer burst 10, limit 20/s per tenant":           false,
		"limit 3001/min per peer, limit 50/s per tenant":                true,
		"limit 2999/min per peer, limit 50/s per tenant":                false,
		"limit 50/s per peer":                                           false,
		"limit 50/s per peer burst 100, limit 40/s per tenant burst 90": true,
	} {
		for _, section := range []string{"route", "service.SID_MSG", "from.master"} {
			got := parse(t, "["+section+"]\n0x0301 = 'broadcast-all, "+row+"'\n").Warnings("x")
			if idle != (len(got) == 1) || idle && got[0] != "x:2: its limit per peer never acts: the one per tenant lets no more through" {
				t.Errorf("%s, %s: %q, want a warning %v", section, row, got, idle)
			}
		}
	}
}

package wasm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
)

func tableModule(t *testing.T, text string) []byte {
	t.Helper()
	module, err := table.Compile("routes.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func groupNamed(t *testing.T, name string) policy.Group {
	t.Helper()
	g, err := policy.GroupNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The same rule of two policies that number their groups differently is the same verdict, and each
// learns of the groups that it names.
func TestGroupsAreTranslated(t *testing.T) {
	question := func(groups ...policy.Group) policy.Question {
		return policy.Question{Header: pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_SERVER_KICK_USER, 0, nil), Session: 1, Groups: groups}
	}
	archive, ops := groupNamed(t, "archive"), groupNamed(t, "ops")
	for _, others := range []string{"", "[from.aaa]\nCID_MSG_DATA = 'drop'\n[from.zzz]\nCID_MSG_DATA = 'drop'\n"} {
		e := newEngine(t, DefaultLimits(), nil)
		p, err := e.Load(t.Context(), "routes", tableModule(t, others+"[from.ops]\nCID_OTHER_SERVER_KICK_USER = 'broadcast-all, also group archive'\n[route]\nCID_MSG_DATA_ACK = 'unicast group archive'\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if v, err := p.Classify(3, pdu.CID_MSG_DATA_ACK); v != policy.UnicastTo(archive) || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
		for want, q := range map[string]policy.Question{"drop, log": question(archive), "broadcast-all, also group archive": question(archive, ops)} {
			v, err := p.Inspect(abi.Drop|abi.InspectHeader, q)
			if v.String() != want || err != nil {
				t.Errorf("in %v: %v, %v, want %s", q.Groups, v, err, want)
			}
		}
		if got := fmt.Sprint(p.Groups()); !strings.Contains(got, "archive") || !strings.Contains(got, "ops") {
			t.Errorf("it names %s", got)
		}
	}
}

// A policy that names a group that the tenant does not have is refused, and so before the name takes a
// number; the same module loads when the tenant has it.
func TestUnknownGroupIsRefused(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	module := tableModule(t, "[route]\nCID_MSG_DATA = 'unicast group archiv-of-test'\n")
	_, err := e.Load(WithGroups(t.Context(), []string{"archive-of-test", "ops"}), "routes", module, nil)
	wantRefusal(t, err, `it names the group "archiv-of-test", which the tenant does not have; did you mean archive-of-test? Otherwise describe its peers in [tenant.NAME.group.archiv-of-test]`)
	_, err = e.Load(WithGroups(t.Context(), []string{}), "routes", module, nil)
	wantRefusal(t, err, `which the tenant does not have; describe its peers in [tenant.NAME.group.archiv-of-test]`)
	p, err := e.Load(WithGroups(t.Context(), []string{"archiv-of-test"}), "routes", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// What a guest says of its groups is checked like anything else that it says.
func TestGroupsThatAreNone(t *testing.T) {
	// A table's module with another text in the place of the names; its length is in the code.
	with := func(text string) []byte {
		return []byte(strings.Replace(string(tableModule(t, "[route]\nCID_MSG_DATA = 'unicast group aaaa'\nCID_MSG_DATA_ACK = 'unicast group bbbb'\n")), "aaaa\nbbbb", text, 1))
	}
	for text, want := range map[string]string{
		"aaaa\naaaa":       `it names the group "aaaa" twice; name each once`,
		"aaaa\nBbbb":       `"Bbbb" is not a group's name`,
		"aa\nmaster":       `"master" stands for the peers`,
		"aaaa\n\n\n\nb":    `"" is not a group's name`,
		"aaaa\nb\x00\x1bb": "is not a group's name",
	} {
		e := newEngine(t, DefaultLimits(), nil)
		_, err := e.Load(context.Background(), "routes", with(text), nil)
		wantRefusal(t, err, want)
	}
}

func wantRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "refused at the groups gate: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

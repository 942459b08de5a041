package hub_test

import (
	"bytes"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// inspected is a command whose PDUs turnRules inspect.
const inspected = others

func turnRules() policytest.Rules {
	rules := commonRules()
	rules[inspected] |= abi.InspectHeader
	return rules
}

// A hub that handles a batch in turns does the same as one that handles it at once,
// whatever it consists of.
func TestTurnsChangeNothing(t *testing.T) {
	batch := slices.Concat(
		slices.Repeat(message(inspected, 1, "inspected"), 30), slices.Repeat(message(everyone, 2, "by ids"), 30),
		announce(0, 100), status(3, 1), ask(0, 100), message(0x9999, 3, "unknown"), status(3, 2),
		slices.Repeat(message(inspected, 4, "inspected"), 5))
	play := func(handle func(h *Hub, p *hubtest.Peer)) (sender, other []byte, counts Counts) {
		h := New(policytest.Active(turnRules()), farBehind)
		a, b := hubtest.Join(h), hubtest.Join(h)
		handle(h, a)
		return a.Read(), b.Read(), hubtest.Conserved(t, h)
	}
	wantSender, wantOther, want := play(func(_ *Hub, p *hubtest.Peer) { p.Send(t, batch) })
	for every := range 8 {
		turns := 0
		sender, other, counts := play(func(h *Hub, p *hubtest.Peer) {
			for rest := batch; len(rest) > 0; turns++ {
				var err error
				before := len(rest)
				if rest, err = h.HandleTurn(p.Seat, rest, &Turn{Over: func() bool { return true }, Every: every + 1}); err != nil || len(rest) == before {
					t.Fatalf("%d bytes left of %d, %v", len(rest), before, err)
				}
			}
		})
		if !bytes.Equal(sender, wantSender) || !bytes.Equal(other, wantOther) || counts.Received != want.Received || counts.Due != want.Due {
			t.Errorf("a look every %d calls: %d and %d bytes sent, want %d and %d", every+1, len(sender), len(other), len(wantSender), len(wantOther))
		}
		if least := 36 / (every + 1); turns < least {
			t.Errorf("a look every %d calls: %d turns, want %d at least", every+1, turns, least)
		}
	}
}

// What may take long is bounded in each turn: calls of the policy in force and of the
// audited one, and bytes about users.
func TestTurnsAreBounded(t *testing.T) {
	atOnce := func() *Turn { return &Turn{Over: func() bool { return true }, Every: 1} }
	calls := &policytest.Policy{OnClassify: turnRules().Classify}
	for name, c := range map[string]struct {
		active, audited policy.Policy
		batch           []byte
		most            int // PDUs in one turn
	}{
		"decisions":                      {calls, nil, slices.Repeat(message(inspected, 1, ""), 1000), 1},
		"decisions by ids":               {calls, nil, slices.Repeat(message(0x9999, 1, ""), 1000), 1},
		"decisions of an audited policy": {commonRules(), calls, slices.Repeat(message(inspected, 1, ""), 1000), 1},
		"questions":                      {calls, nil, slices.Repeat(ask(0, 1000), 50), 1 + LengthyBytes/len(ask(0, 1000))},
		"the memo":                       {calls, nil, slices.Repeat(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 1, nil), 1000), 1000},
	} {
		h := New(policytest.Active(c.active), farBehind)
		if c.audited != nil {
			h.SetAudit(policytest.Generation(c.audited))
		}
		a := hubtest.Join(h)
		rest, err := h.HandleTurn(a.Seat, c.batch, atOnce())
		if got := int(h.Counts().Received); got > c.most || err != nil || len(rest) == 0 != (c.most == 1000) {
			t.Errorf("%s: %d PDUs in one turn, want %d at most; %d bytes left, %v", name, got, c.most, len(rest), err)
		}
	}
}

// The clock is looked at after so many calls, and not after each.
func TestLooksAreFew(t *testing.T) {
	h := New(policytest.Active(turnRules()), farBehind)
	a := hubtest.Join(h)
	looks := 0
	turn := &Turn{Over: func() bool { looks++; return false }, Every: 10}
	if rest, err := h.HandleTurn(a.Seat, slices.Repeat(message(inspected, 1, ""), 100), turn); len(rest) > 0 || err != nil {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if looks < 9 || looks > 11 {
		t.Errorf("looked %d times at 100 calls, want every tenth", looks)
	}
}

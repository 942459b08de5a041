package cases

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/suggest"
	"switchyard/policy/table"
	"switchyard/proxy/hub"
)

// ExpectKeys are the keys of what a case expects. Reasons and FaultKinds are the values of dropped and
// fault.
var (
	ExpectKeys = []string{"action", "verdict", "to", "sends", "dropped", "fault"}

	Reasons = []string{string(hub.ByPolicy), string(hub.PolicyFault), string(hub.MalformedBody), string(hub.BadStatus),
		string(hub.NoHolder), string(hub.TooManyUsers), string(hub.AnswerTooLong), string(hub.OverLimit)}

	FaultKinds = func() (kinds []string) {
		for _, k := range policy.FaultKinds {
			kinds = append(kinds, string(k))
		}
		return kinds
	}()
)

// expectation reads the table expect of a case. peers are those of the case, whom it may name; command is
// needed for verdicts that name fields of its body.
func (p *parser) expectation(all map[string]any, command pdu.CommandID, peers []Peer) (e Expectation) {
	if _, ok := all["expect"]; !ok {
		p.faultAt("the case expects nothing", `write expect = { action = "drop" }, or others of `+strings.Join(ExpectKeys, ", "), "case")
		return e
	}
	t, ok := p.table("case", "expect")
	if !ok {
		return e
	}
	p.unknown(t, ExpectKeys, "case", "expect")
	if len(t) == 0 {
		p.faultAt("the case expects nothing", "write one of "+strings.Join(ExpectKeys, ", "), "case", "expect")
	}
	if word, ok := p.word(t, "action", policy.Actions[:]); ok {
		action := policy.Action(slices.Index(policy.Actions[:], word))
		e.Action = &action
	}
	if text, ok := p.text(t, "case", "expect", "verdict"); ok {
		v, limit, problem := table.ParseVerdict(text, command)
		p.wrong(fieldError(problem), "case", "expect", "verdict")
		e.Verdict, e.Limit = &v, limit
	}
	for _, name := range p.list(t, "to", &e.To) {
		p.peer(name, peers, "case", "expect", "to")
	}
	var sends []string
	for _, word := range p.list(t, "sends", &sends) {
		id, wrong := commandID(word)
		p.wrong(wrong, "case", "expect", "sends")
		e.Sends = append(e.Sends, id)
	}
	dropped, _ := p.word(t, "dropped", Reasons)
	fault, _ := p.word(t, "fault", FaultKinds)
	e.Dropped, e.Fault = hub.Reason(dropped), policy.FaultKind(fault)
	return e
}

// word reads a string that must be one of the known.
func (p *parser) word(t map[string]any, key string, known []string) (string, bool) {
	word, ok := p.text(t, "case", "expect", key)
	if ok && !slices.Contains(known, word) {
		p.faultAt(fmt.Sprintf("%s cannot be %q", key, word), suggest.Hint(word, known, "it is one of "+strings.Join(known, ", ")), "case", "expect", key)
		return "", false
	}
	return word, ok
}

// list reads strings into list, which is then not nil: `to = []` expects no copies at all, and a
// case without `to` accepts any receivers.
func (p *parser) list(t map[string]any, key string, list *[]string) []string {
	value, ok := t[key]
	if !ok {
		return nil
	}
	*list = []string{}
	values, ok := value.([]any)
	for _, v := range values {
		text, isText := v.(string)
		ok = ok && isText
		*list = append(*list, text)
	}
	if !ok {
		p.faultAt(key+" is not a list of strings", fmt.Sprintf(`write %s = ["…", "…"]`, key), "case", "expect", key)
		return nil
	}
	return *list
}

package source

import (
	"path/filepath"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
)

// Rule returns what is known about the rule of a table that decides about the ids; nothing is about
// other modules.
func (m Module) Rule(s pdu.ServiceID, c pdu.CommandID) (r policy.Rule) {
	if m.Table == nil {
		return r
	}
	r.Source = m.at(m.Table.Place(s, c))
	for _, one := range m.Table.Cases(s, c) {
		r.Cases = append(r.Cases, policy.Case{If: one.If, Verdict: m.Table.Spell(one.Verdict), Source: m.at(one.Place)})
	}
	return r
}

// Decided returns the case of a table that decides about a PDU, and whether its rule has
// cases. The case of else has no condition.
func (m Module) Decided(s pdu.ServiceID, c pdu.CommandID, q policy.Question) (policy.Case, bool) {
	if m.Table == nil || len(m.Table.Cases(s, c)) == 0 {
		return policy.Case{}, false
	}
	from := table.Sender{Master: q.Attributes&abi.AttributeMaster != 0, Groups: policy.GroupNames(q.Groups)}
	one := m.Table.Decide(s, c, from, q.Body)
	return policy.Case{If: one.If, Verdict: m.Table.Spell(one.Verdict), Source: m.at(one.Place)}, true
}

// Warnings returns the rows of a table that can never decide.
func (m Module) Warnings() []string {
	if m.Table == nil {
		return nil
	}
	return m.Table.Warnings(filepath.Base(m.Path))
}

// at returns a place as FILE:LINE; empty for none.
func (m Module) at(p table.Place) string {
	if p.Line == 0 {
		return ""
	}
	if p.File == "" {
		p.File = filepath.Base(m.Path)
	}
	return p.String()
}

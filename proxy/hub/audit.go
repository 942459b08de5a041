package hub

import (
	"switchyard/pdu"
	"switchyard/policy"
)

// An AuditRow is about the PDUs of one command that peers sent since the audit began.
// Notices and answers, which the hub makes itself, are not included.
type AuditRow struct {
	Command pdu.CommandID // 0 stands for all ids that the protocol does not have
	PDUs    uint64        // excludes PDUs that were not weighed
	Sent    policy.Copies // sent by the policy in force
	Audited policy.Copies // that the audited policy would have sent
	Useless policy.Copies // that only the policy in force sent
	Missed  policy.Copies // that only the audited policy would have sent
	Faults  uint64        // PDUs for which the audited policy failed to decide
}

// Add adds the counts of another row.
func (r *AuditRow) Add(other AuditRow) {
	r.PDUs += other.PDUs
	r.Faults += other.Faults
	r.Sent.Add(other.Sent)
	r.Audited.Add(other.Audited)
	r.Useless.Add(other.Useless)
	r.Missed.Add(other.Missed)
}

// SetAudit audits g, which the hub owns from then on, in place of the previous audited
// policy; nil ends the audit. The policy in force and g are compared in a stage with
// share 0, so the hub routes all PDUs as without g, whatever g returns and however it fails.
// All rows begin at 0.
func (h *Hub) SetAudit(g *policy.Generation) {
	if g == nil {
		h.active.SetAudit(nil, nil)
		return
	}
	h.active.SetAudit(g, &policy.Tally{CountAlike: true})
}

// Audit returns the rows of the audit, in the order of the commands.
func (h *Hub) Audit() (rows []AuditRow) {
	tally := h.active.Audit()
	if tally == nil {
		return nil
	}
	for _, c := range h.Weighed(tally).Commands {
		row := AuditRow{
			Command: c.Command,
			PDUs:    c.PDUs - c.Unweighed + c.Alike,
			Sent:    c.Copies[0],
			Audited: c.Copies[1],
			Useless: c.Only[0],
			Missed:  c.Only[1],
			Faults:  c.Failed[1],
		}
		row.Sent.Add(c.Copied)
		row.Audited.Add(c.Copied)
		rows = append(rows, row)
	}
	return rows
}

package replay

import (
	"slices"
	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
)

// A capture may leave out bodies, fields and commands. A hub that is given such a record
// would route a made-up PDU and keep made-up state, and every later answer that depends
// on that state would be a guess. So such a PDU is not given to the hub. Its outcome is
// decided from the record alone, as far as that goes, and what the hub would have learnt
// from it is marked unknown:
//
//	                  was everything recorded that the hub needs?
//	                   yes │                             │ no
//	                       ▼                             ▼
//	              the hub handles it            decideFromRecord
//	                       │               ┌─────────────┴─────────────┐
//	                       │         the verdict needs           only its effect needs
//	                       │         what is missing             what is missing
//	                       ▼               ▼                           ▼
//	certainty            routed        undecided                    decided
//	report counts        both          neither                      the verdict, no copies
//
// For example, from a capture without bodies: ONLINE_USER_INFO has the verdict "handle"
// by its ids, so it is decided, but who holds which users is unknown from then on. A
// later unicast to a user is therefore decided, too, and not routed.

// A certainty says how much is known about the outcome of a PDU. Each level includes
// those before it.
type certainty int

const (
	undecided certainty = iota
	decided             // the verdict is known
	routed              // so is what was sent because of it
)

// unknown is the state of a hub that the capture does not determine.
type unknown struct {
	presence bool // which peers hold which users
	roles    roleGap
}

// A roleGap says for which peers it is unknown whether they are master. Each level
// includes those before it.
type roleGap int

const (
	noRole roleGap = iota
	someRoles
	allRoles
)

// Why a verdict, or where it sends a PDU, cannot be known from a capture.
const (
	noBody          = "the body was not recorded whole"
	redactedBody    = "fields that decide were redacted"
	presenceUnknown = "who holds which users was not recorded"
	rolesUnknown    = "who is master was not recorded"
	senderClosed    = "the policy had closed the sender"
)

// decideFromRecord returns why the PDU may not be given to the hub, or "" if it may. If
// it may not, decideFromRecord sets the outcome as far as the record determines it, and
// marks what is unknown from now on.
func (s *simulation) decideFromRecord(from *peer, rec *capture.Record, t *capture.Tenant, p []byte) (why string) {
	if rec.Whole() && !rec.Redacted && s.unknown == (unknown{}) {
		return ""
	}
	g := s.active.Acquire()
	defer g.Release()
	h := pdu.ParseHeader(p)
	v, fault := g.Classify(h.Service, h.Command)
	if fault == nil && v.Inspected() {
		switch {
		case v.Has(abi.InspectBodyOf) && !rec.Whole():
			why = noBody
		case s.unknown.roles == allRoles || from.roleUnknown:
			why = rolesUnknown
		}
		if why != "" {
			s.markUnknown(from, h.Command, 0)
			return why
		}
		v, fault = s.policy.inspectFirst(v, policy.Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: from.seat.Session(), Attributes: policy.AttributesOf(from.master), Groups: from.groups})
	}
	if why = s.missing(v, rec, t, h.Command); why != "" {
		s.last = outcome{certainty: decided, verdict: v.WithLimit(0)} // the limit is not charged
		if fault != nil {
			s.last.fault = fault.Kind
		}
		s.markUnknown(from, h.Command, v)
	}
	return why
}

// missing returns what is missing in the capture to carry out the verdict, or "".
func (s *simulation) missing(v policy.Verdict, rec *capture.Record, t *capture.Tenant, c pdu.CommandID) string {
	fields := v.Action() == policy.Unicast && v.Selector() == abi.ToFields
	switch {
	case v.Action() == policy.Handle && !rec.Whole(), fields && !rec.Whole():
		return noBody
	case v.Action() == policy.Handle && rec.Redacted, fields && rec.Redacted && hides(t, c, v.Argument()):
		return redactedBody
	case v.Action() == policy.Handle && v.Argument() == abi.UserStatusUpdate && s.unknown.presence:
		return presenceUnknown
	case v.Action() == policy.Unicast && (fields || v.Selector() == abi.ToUser) && s.unknown.presence:
		return presenceUnknown
	case v.Action() == policy.Unicast && v.Selector() == abi.ToMaster && s.unknown.roles > noRole:
		return rolesUnknown
	}
	return ""
}

// hides reports whether one of the body fields, bit n for field n, was redacted.
func hides(t *capture.Tenant, c pdu.CommandID, fields uint32) bool {
	return slices.ContainsFunc(t.Redacted, func(f capture.Field) bool {
		return f.Command == c && (f.Number() == 0 || f.Number() < 32 && fields>>f.Number()&1 != 0)
	})
}

// markUnknown records which state is unknown after a PDU that the hub was not given. A
// verdict of 0 is an unknown one: then the command alone says what may have changed.
func (s *simulation) markUnknown(from *peer, c pdu.CommandID, v policy.Verdict) {
	handler := uint32(0)
	if v.Action() == policy.Handle {
		handler = v.Argument()
	}
	switch {
	case handler == abi.OnlineUserInfo, handler == abi.UserStatusUpdate,
		v == 0 && (c == pdu.CID_OTHER_ONLINE_USER_INFO || c == pdu.CID_OTHER_USER_STATUS_UPDATE):
		s.unknown.presence = true
	case handler == abi.RoleSet, v == 0 && c == pdu.CID_OTHER_ROLE_SET:
		from.roleUnknown = true
		s.unknown.roles = max(s.unknown.roles, someRoles)
	}
}

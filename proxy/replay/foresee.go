package replay

import (
	"errors"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
)

// Why a verdict, or where it sends a PDU, cannot be known from a capture.
const (
	noBody         = "the body was not recorded whole"
	redactedBody   = "fields that decide were redacted"
	presenceUnsure = "who holds which users was not recorded"
	rolesUnsure    = "who is master was not recorded"
	senderClosed   = "the policy had closed the sender"
)

// foresee returns why the hub cannot be given the PDU as it was recorded, if it
// cannot, and notes the verdict if at least that is known. It is for what was not
// recorded whole: nothing is guessed.
func (s *simulation) foresee(from *peer, rec *capture.Record, t *capture.Tenant, p []byte) (why string) {
	masters := s.rolesUnsure || s.someRoleUnsure
	if rec.Whole() && !rec.Redacted && !s.presenceUnsure && !masters {
		return ""
	}
	g := s.judge.Acquire()
	defer g.Release()
	h := pdu.ParseHeader(p)
	v, fault := g.Classify(h.Service, h.Command)
	if fault == nil && v.Inspected() {
		switch {
		case v.Has(abi.InspectBodyOf) && !rec.Whole():
			why = noBody
		case s.rolesUnsure || from.roleUnsure:
			why = rolesUnsure
		}
		if why != "" {
			s.lose(from, h.Command, 0)
			return why
		}
		v, fault = s.policy.foresee(v, policy.Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: from.seat.Session(), Attributes: from.attributes()})
	}
	if why = s.open(v, rec, t, h.Command, masters); why != "" {
		s.last = fate{decided: true, verdict: v}
		if fault != nil {
			s.last.fault = fault.Kind
		}
		s.lose(from, h.Command, v)
	}
	return why
}

// open returns what of the capture is missing to do what v says, if something is.
func (s *simulation) open(v policy.Verdict, rec *capture.Record, t *capture.Tenant, c pdu.CommandID, masters bool) string {
	fields := v.Action() == policy.Unicast && v.Selector() == abi.ToFields
	switch {
	case v.Action() == policy.Handle && !rec.Whole(), fields && !rec.Whole():
		return noBody
	case v.Action() == policy.Handle && rec.Redacted, fields && rec.Redacted && hides(t, c, v.Argument()):
		return redactedBody
	case v.Action() == policy.Handle && v.Argument() == abi.UserStatusUpdate && s.presenceUnsure:
		return presenceUnsure
	case v.Action() == policy.Unicast && (fields || v.Selector() == abi.ToUser) && s.presenceUnsure:
		return presenceUnsure
	case v.Action() == policy.Unicast && v.Selector() == abi.ToMaster && masters:
		return rolesUnsure
	}
	return ""
}

// hides reports whether one of the body fields, bit n for field n, was redacted.
func hides(t *capture.Tenant, c pdu.CommandID, fields uint32) bool {
	for _, f := range t.Redacted {
		if f.Command == c && (f.Number() == 0 || f.Number() < 32 && fields>>f.Number()&1 != 0) {
			return true
		}
	}
	return false
}

// lose notes what is not known any more after a PDU that the hub was not given.
func (s *simulation) lose(from *peer, c pdu.CommandID, v policy.Verdict) {
	handler := uint32(0)
	if v.Action() == policy.Handle {
		handler = v.Argument()
	}
	switch {
	case handler == abi.OnlineUserInfo, handler == abi.UserStatusUpdate,
		v == 0 && (c == pdu.CID_OTHER_ONLINE_USER_INFO || c == pdu.CID_OTHER_USER_STATUS_UPDATE):
		s.presenceUnsure = true
	case handler == abi.RoleSet, v == 0 && c == pdu.CID_OTHER_ROLE_SET:
		from.roleUnsure, s.someRoleUnsure = true, true
	}
}

// A watched policy is asked as the other is, and measured.
type watched struct {
	policy.Policy
	calls    uint64
	time     time.Duration
	sawBody  bool    // of the PDU that is being judged
	foreseen *answer // about it
}

type answer struct {
	verdict policy.Verdict
	err     error
}

// Close leaves the policy to its owner.
func (w *watched) Close() error { return nil }

func (w *watched) reset() { w.calls, w.time = 0, 0 }

func (w *watched) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	defer w.measure(time.Now())
	return w.Policy.Classify(s, c)
}

func (w *watched) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if w.foreseen != nil {
		return w.foreseen.verdict, w.foreseen.err
	}
	w.sawBody = w.sawBody || byIDs.Has(abi.InspectBodyOf)
	defer w.measure(time.Now())
	return w.Policy.Inspect(byIDs, q)
}

func (w *watched) measure(start time.Time) {
	w.calls++
	w.time += time.Since(start)
}

// foresee is what a generation makes of an inspection. The policy is not asked again
// for the same PDU.
func (w *watched) foresee(byIDs policy.Verdict, q policy.Question) (policy.Verdict, *policy.Fault) {
	v, err := w.Inspect(byIDs, q)
	w.foreseen = &answer{v, err}
	if err == nil {
		return v, nil
	}
	fault, ok := errors.AsType[*policy.Fault](err)
	if !ok {
		fault = &policy.Fault{Kind: policy.FaultTrap, Err: err}
	}
	return byIDs &^ (abi.InspectHeader | abi.InspectBodyOf), fault
}

// clear makes ready for the next PDU.
func (w *watched) clear() { w.foreseen, w.sawBody = nil, false }

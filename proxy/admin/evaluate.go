package admin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/review"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/tenant"
)

// An evaluation answers what the policy in force would decide about one PDU, and who would get it. It
// asks the guest in the steps in which the hub does, without the memo, and keeps what each step said:
//
//	EvaluateRequest ─▶ pdu ─▶ Policy.Explain ─▶ Generation.Enforce ─▶ Hub.Recipients ─▶ Evaluation
//	                           by ids,            the tenant's          who would get
//	                           inspection         may settings          the copies

const (
	// maxQuestion is the largest request for an evaluation, in bytes.
	maxQuestion = 1 << 20
	// mostSessions is how many receivers of a copy are listed.
	mostSessions = 20
)

// A question is a request to evaluate the policy for one PDU.
type question struct{ api.EvaluateRequest }

// evaluate answers how the policy in force decides about one PDU. Nothing is routed or
// counted.
func (s *Server) evaluate(w http.ResponseWriter, r *http.Request) error {
	var q question
	if err := s.readJSON(w, r, &q, maxQuestion); err != nil {
		return err
	}
	t, err := s.tenant(q.Tenant)
	if err != nil {
		return err
	}
	p, err := q.pdu()
	if err == nil {
		err = q.checkGroups()
	}
	if err != nil {
		return err
	}
	clearDeadlines(w)
	if err := s.acquirePolicyCall(r); err != nil {
		return err
	}
	defer s.policyCalls.release()
	g, err := acquire(t)
	if err != nil {
		return err
	}
	defer g.Release()
	guest, ok := g.Policy().(*wasm.Policy)
	if !ok {
		return refuse(http.StatusNotFound, "the policy of tenant %s cannot be explained", t.Name)
	}
	asked := policy.Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: q.session(), Attributes: policy.AttributesOf(q.Master)}
	groups := q.groups(t)
	asked.Groups = namedGroups(groups, guest.Groups())
	a := s.explained(g, guest, asked)
	a.Tenant, a.Sender.Groups = t.Name, groups
	if q.Groups != nil {
		a.noteGroups(guest.Groups())
	}
	a.addCopies(t, asked.Session, p)
	s.extendWriteDeadline(w)
	return answer(w, http.StatusOK, a.Evaluation)
}

// pdu returns the PDU that the question is about: whole in hex, or by its parts. A known command has
// the service of the protocol unless another is named; an unknown one gets the service of its high
// byte, as 0x0720 belongs to service 7.
func (q *question) pdu() ([]byte, error) {
	if (q.Hex == "") == (q.Command == "") {
		return nil, errors.New("write either hex, a whole PDU, or command with body")
	}
	if q.Hex != "" {
		return wholePDU(q.Hex)
	}
	id, problem := command.ID(q.Command)
	if problem != nil {
		return nil, fmt.Errorf("command: %w", problem)
	}
	service := id.Service()
	if q.Service != "" {
		if service, problem = command.Service(q.Service); problem != nil {
			return nil, fmt.Errorf("service: %w", problem)
		}
	}
	body, err := unhex(q.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return pdu.Append(nil, service, id, q.Seq, body), nil
}

// wholePDU reads a PDU in hex, whose header must have its length.
func wholePDU(text string) ([]byte, error) {
	p, err := unhex(text)
	if err != nil {
		return nil, fmt.Errorf("hex: %w", err)
	}
	if len(p) < pdu.HeaderLen {
		return nil, fmt.Errorf("hex: %d bytes are not a PDU; a header alone has %d", len(p), pdu.HeaderLen)
	}
	if h := pdu.ParseHeader(p); int(h.Length) != len(p) {
		return nil, fmt.Errorf("hex: the header says %d bytes, and there are %d; write one whole PDU", h.Length, len(p))
	}
	return p, nil
}

// unhex reads hex digits, with white space anywhere between them, as hex dumps have it.
func unhex(text string) ([]byte, error) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%w; write two hex digits for each byte", err)
	}
	return b, nil
}

// session returns the number of the sender's session, 1 if none is given. It need not exist.
func (q *question) session() uint64 {
	if q.Session == nil {
		return 1
	}
	return *q.Session
}

// checkGroups refuses what no tenant can have.
func (q *question) checkGroups() error {
	if n := len(q.Groups); n > tenant.MaxGroups {
		return fmt.Errorf("groups: %d of them, where a tenant has %d at most", n, tenant.MaxGroups)
	}
	for _, name := range q.Groups {
		if err := policy.CheckGroupName(name); err != nil {
			return fmt.Errorf("groups: %w", err)
		}
	}
	return nil
}

// groups returns the names of the sender's groups: those that were asked for, or those of the
// session's peer.
func (q *question) groups(t Tenant) []string {
	if q.Groups != nil {
		return q.Groups
	}
	return policy.GroupNames(t.Hub().GroupsOf(q.session()))
}

// namedGroups returns those of the names that a policy names. The others make no difference to it, and
// get no number, of which a process has few.
func namedGroups(names []string, named []policy.Group) []policy.Group {
	return slices.DeleteFunc(slices.Clone(named), func(g policy.Group) bool { return !slices.Contains(names, g.String()) })
}

// noteGroups notes the groups of the sender that the policy does not name.
func (a *explained) noteGroups(named []policy.Group) {
	for _, name := range a.Sender.Groups {
		if len(namedGroups([]string{name}, named)) == 0 {
			a.Notes = append(a.Notes, policy.NotNamed(name, named))
		}
	}
}

// An explained is an evaluation with the verdict that it describes.
type explained struct {
	api.Evaluation
	verdict policy.Verdict
}

// explained asks the guest, and applies the tenant's may settings to its verdict, as the hub
// does: a verdict by ids that exceeds them is replaced by may_else, and its inspection is not asked for.
func (s *Server) explained(g *policy.Generation, guest *wasm.Policy, q policy.Question) *explained {
	h := pdu.ParseHeader(q.Header)
	e := guest.Explain(q)
	if v, excess := g.Enforce(h.Service, h.Command, e.ByIDs.Verdict); e.ByIDs.Fault == nil && excess != nil {
		e.Verdict, e.Fault, e.Inspection = v, excess, nil // the hub would not ask for an inspection
	} else if e.Fault == nil {
		e.Verdict, e.Fault = g.Enforce(h.Service, h.Command, e.Verdict)
	}
	fuel := s.backend.State().Fuel
	a := &explained{verdict: e.Verdict, Evaluation: api.Evaluation{
		Policy: identify(g),
		PDU: api.EvaluatedPDU{Service: h.Service.String(), Command: h.Command.String(), Seq: h.Seq, Length: h.Length,
			Header: hex.EncodeToString(q.Header), Body: hex.EncodeToString(q.Body), Fields: message.JSON(h.Command, q.Body)},
		Sender:   api.Sender{Session: q.Session, Attributes: q.Attributes},
		ByIDs:    answerOf(e.ByIDs, h.Command, guest.RateLimits(), fuel),
		Decision: review.DecideLimited(e.Verdict, h.Command, guest.RateLimits().Of(e.Verdict)),
		Sessions: []uint64{}, Notes: []string{},
	}}
	a.ByIDs.Remembered = e.Remembered
	if e.Inspection != nil {
		inspection := answerOf(*e.Inspection, h.Command, guest.RateLimits(), fuel)
		a.Inspection = &inspection
	}
	if e.Fault != nil {
		a.Fault = &api.Fault{Kind: string(e.Fault.Kind), Error: e.Fault.Err.Error()}
	}
	return a
}

// answerOf describes one call of the guest. A call that failed has no decision.
func answerOf(a wasm.Answer, c pdu.CommandID, limits policy.RateLimits, fuel uint64) api.Answer {
	answer := api.Answer{Export: a.Export, Fuel: a.Fuel, FuelLimit: fuel, Memory: a.Memory}
	if a.Fault == nil {
		d := review.DecideLimited(a.Verdict, c, limits.Of(a.Verdict))
		answer.Decision = &d
	}
	return answer
}

// addCopies adds the sessions that would be sent a copy.
func (a *explained) addCopies(t Tenant, session uint64, p []byte) {
	if a.verdict.Action() == policy.Handle {
		a.Notes = append(a.Notes, "the copies of a handled command depend on its body and on the user table; they are not predicted")
		return
	}
	sessions, n := t.Hub().Recipients(session, a.verdict, p, mostSessions)
	a.Copies, a.Sessions = &n, append(a.Sessions, sessions...)
}

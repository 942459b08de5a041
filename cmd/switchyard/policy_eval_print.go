package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/pdu/message"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/review"
	"switchyard/policy/wasm"
	"switchyard/proxy/cases"
)

// An explanation is what policy eval prints as JSON. Its names do not change.
//
//	policy, sha256  the policy
//	pdu             the PDU
//	sender          peer, session number and attribute bits
//	by_ids          the answer of classify, and whether it is remembered
//	inspection      the answer of inspect or inspect_body, or null
//	case            of a table with cases, the one that holds, or null
//	verdict         the decision
//	fault           how the policy failed to decide, or null; verdict is then the fallback
//	routed          whether the following four are known
//	users           the users that a unicast names, and the peers that hold them
//	to              the peers that receive PDUs
//	sends           by peer, the commands of those PDUs
//	dropped         why, if the PDU was dropped
//	notes           remarks
type explanation struct {
	Policy     string              `json:"policy"`
	SHA256     string              `json:"sha256"`
	PDU        explainedPDU        `json:"pdu"`
	Sender     explainedSender     `json:"sender"`
	ByIDs      explainedAnswer     `json:"by_ids"`
	Inspection *explainedAnswer    `json:"inspection"`
	Case       *policy.Case        `json:"case"`
	Verdict    string              `json:"verdict"`
	Fault      *explainedFault     `json:"fault"`
	Routed     bool                `json:"routed"`
	Users      []explainedUser     `json:"users,omitempty"`
	To         []string            `json:"to"`
	Sends      map[string][]string `json:"sends,omitempty"`
	Dropped    string              `json:"dropped,omitempty"`
	Notes      []string            `json:"notes,omitempty"`
}

// An explainedPDU is the PDU as the policy received it.
type explainedPDU struct {
	Service string `json:"service"`
	Command string `json:"command"`
	Seq     uint16 `json:"seq"`
	Length  uint32 `json:"length"` // header included
	Header  string `json:"header"` // hex
	Body    string `json:"body"`   // hex
	Fields  string `json:"fields"` // the body as text, if it is a message
}

// An explainedSender is what a policy learns of the sender. Peer has no name if the decision is
// reproduced from a file, which does not record it.
type explainedSender struct {
	Peer       string `json:"peer,omitempty"`
	Session    uint64 `json:"session"`
	Attributes uint64 `json:"attributes"` // without those of groups

	Groups []policy.Group `json:"groups,omitempty"`
}

// An explainedAnswer is the result of one call of the guest. Verdict is empty if the call failed.
type explainedAnswer struct {
	Export     string `json:"export"`
	Verdict    string `json:"verdict,omitempty"`
	Remembered bool   `json:"remembered"`
	Fuel       uint64 `json:"fuel"`
	FuelLimit  uint64 `json:"fuel_limit"`
}

// An explainedFault is why the policy could not decide.
type explainedFault struct {
	Kind  policy.FaultKind `json:"kind"`
	Error string           `json:"error"`
}

// An explainedUser is a receiver of a unicast. Peers lists the peers that hold the user; it is
// empty if none does.
type explainedUser struct {
	User  uint32   `json:"user"`
	Peers []string `json:"peers"`
}

// newExplanation describes the calls of the guest. Where the PDU goes is added by name and route,
// if it is known.
func newExplanation(g *loadedPolicy, q policy.Question, e wasm.Explanation) *explanation {
	h := pdu.ParseHeader(q.Header)
	x := &explanation{
		Policy: g.Name, SHA256: g.FileSHA256,
		PDU: explainedPDU{Service: h.Service.String(), Command: h.Command.String(), Seq: h.Seq, Length: h.Length,
			Header: hex.EncodeToString(q.Header), Body: hex.EncodeToString(q.Body), Fields: message.Text(h.Command, q.Body)},
		Sender:  explainedSender{Session: q.Session, Attributes: q.Attributes, Groups: q.Groups},
		ByIDs:   g.answer(e.ByIDs),
		Verdict: g.RateLimits().Spell(e.Verdict),
		To:      []string{},
	}
	x.ByIDs.Remembered = e.Remembered
	if e.Inspection != nil {
		inspection := g.answer(*e.Inspection)
		x.Inspection = &inspection
	}
	if c, ok := g.Decided(h.Service, h.Command, q); ok && e.Fault == nil {
		x.Case = &c
	}
	if e.Fault != nil {
		x.Fault = &explainedFault{e.Fault.Kind, e.Fault.Err.Error()}
	}
	return x
}

// answer describes one call of the guest.
func (g *loadedPolicy) answer(a wasm.Answer) explainedAnswer {
	x := explainedAnswer{Export: a.Export, Fuel: a.Fuel, FuelLimit: g.limits.Fuel}
	if a.Fault == nil {
		x.Verdict = g.RateLimits().Spell(a.Verdict)
	}
	return x
}

// maxUsers is how many users of a verdict are shown. A PDU may name thousands.
const maxUsers = 20

// name lists the users that the verdict finds in the body, and the peers that hold them.
func (x *explanation) name(v policy.Verdict, b []byte, peers []cases.Peer) {
	var users []uint32
	switch {
	case v.Action() != policy.Unicast:
	case v.Selector() == abi.ToUser:
		users = []uint32{v.Argument()}
	case v.Selector() == abi.ToFields:
		named, err := body.ReadValues(b, v.Argument())
		if err != nil {
			x.Notes = append(x.Notes, "the users cannot be read from the body: "+err.Error())
			return
		}
		users = slices.Collect(named.All())
	}
	if len(users) > maxUsers {
		x.Notes = append(x.Notes, fmt.Sprintf("the body names %d users, of which %d are shown", len(users), maxUsers))
		users = users[:maxUsers]
	}
	for _, user := range users {
		u := explainedUser{User: user, Peers: []string{}}
		for _, p := range peers {
			if slices.Contains(p.Users, user) {
				u.Peers = append(u.Peers, p.Name)
			}
		}
		x.Users = append(x.Users, u)
	}
}

// printExplanation prints a line for each part:
//
//	policy     teamtalk, sha256 1fbdb280…
//	PDU        SID_MSG, CID_MSG_DATA, seq 0, 20 bytes
//	body       from_user_id:1 to_session_id:2
//	sender     north, session 1, no master
//	by ids     broadcast-except-sender (classify used 4 of 280000 units of fuel; remembered: …)
//	inspected  no, the ids decide
//	verdict    broadcast-except-sender
//	sent to    south
func printExplanation(w io.Writer, x *explanation) error { return columns(w, x.lines()) }

// lines explains the decision in the order in which it is made. A fault of a guest may have several
// lines, such as a stack.
func (x *explanation) lines() [][]string {
	role := "no master"
	if x.Sender.Attributes != 0 {
		role = fmt.Sprintf("attributes %#x: master", x.Sender.Attributes)
	}
	for _, g := range x.Sender.Groups {
		role += ", in " + g.String()
	}
	lines := [][]string{
		{"policy", fmt.Sprintf("%s, sha256 %s", x.Policy, x.SHA256)},
		{"PDU", fmt.Sprintf("%s, %s, seq %d, %d bytes", x.PDU.Service, x.PDU.Command, x.PDU.Seq, x.PDU.Length)},
		{"body", x.body()},
		{"sender", strings.TrimLeft(fmt.Sprintf("%s, session %d, %s", x.Sender.Peer, x.Sender.Session, role), ", ")},
		{"by ids", x.byIDs()},
		{"inspected", x.inspected()},
	}
	if x.Case != nil {
		lines = append(lines, []string{"case", fmt.Sprintf("%s (%s)", cmp.Or(x.Case.If, review.Else), x.Case.Source)})
	}
	if x.Fault != nil {
		for i, line := range strings.Split(x.Fault.Error, "\n") {
			label := ""
			if i == 0 {
				label, line = "fault", fmt.Sprintf("%s: %s", x.Fault.Kind, line)
			}
			lines = append(lines, []string{label, strings.ReplaceAll(line, "\t", "    ")})
		}
		lines = append(lines, []string{"instead", x.instead()})
	} else {
		lines = append(lines, []string{"verdict", x.Verdict})
	}
	for _, u := range x.Users {
		lines = append(lines, []string{fmt.Sprintf("user %d", u.User), "held by " + cmp.Or(strings.Join(u.Peers, ", "), "nobody")})
	}
	if x.Routed {
		lines = append(lines, []string{"sent to", x.sent()})
	}
	for _, note := range x.Notes {
		lines = append(lines, []string{"note", strings.ReplaceAll(strings.ReplaceAll(note, "\n", " "), "\t", "")})
	}
	return lines
}

// body describes the body of the PDU: its fields if it is the command's message, or else its
// first 32 bytes in hex.
func (x *explanation) body() string {
	switch {
	case x.PDU.Body == "":
		return "empty"
	case x.PDU.Fields != "":
		return x.PDU.Fields
	default:
		return fmt.Sprintf("%d bytes that are not the command's message: %.64s", len(x.PDU.Body)/2, x.PDU.Body)
	}
}

// byIDs describes the call of classify. Only a verdict for ids of the protocol is remembered by a
// running hub.
func (x *explanation) byIDs() string {
	how := "asked for each PDU, as the ids are not the protocol's"
	if x.ByIDs.Remembered {
		how = "remembered: asked once, not for each PDU"
	}
	return fmt.Sprintf("%s (%s used %d of %d units of fuel; %s)", cmp.Or(x.ByIDs.Verdict, "failed"), x.ByIDs.Export, x.ByIDs.Fuel, x.ByIDs.FuelLimit, how)
}

// inspected describes the call of the inspection with its parameters, as the guest received them.
func (x *explanation) inspected() string {
	i := x.Inspection
	if i == nil {
		return "no, the ids decide"
	}
	asked := fmt.Sprintf("%s(header %s, session %d, attributes %d)", i.Export, x.PDU.Header, x.Sender.Session, x.Sender.Attributes)
	if i.Export == "inspect_body" {
		asked = strings.Replace(asked, "(", fmt.Sprintf("(%d bytes of body, ", len(x.PDU.Body)/2), 1)
	}
	return fmt.Sprintf("%s: %s, used %d of %d units of fuel", asked, cmp.Or(i.Verdict, "failed"), i.Fuel, i.FuelLimit)
}

// instead says which verdict applies after a fault, and where it comes from.
func (x *explanation) instead() string {
	if x.Inspection == nil {
		return x.Verdict + ", as classify failed"
	}
	return x.Verdict + ", the rest of the verdict by ids"
}

// sent lists the receivers, with the commands of what they were sent where that is not the PDU
// itself but a notice or an answer.
func (x *explanation) sent() string {
	if len(x.To) == 0 {
		if x.Dropped != "" {
			return "nobody, dropped: " + x.Dropped
		}
		return "nobody"
	}
	var parts []string
	for _, peer := range x.To {
		if sends := strings.Join(x.Sends[peer], " and "); sends != x.PDU.Command {
			peer += " (" + sends + ")"
		}
		parts = append(parts, peer)
	}
	return strings.Join(parts, ", ")
}

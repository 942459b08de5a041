package review

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A Decision is a verdict by ids and its parts. The names in JSON do not change. For example,
// "unicast fields 1 2, not-sender, else-broadcast" for CID_SWITCH_P2P_CMD has the parts
//
//	action unicast, targets "fields 1 2", fields from_user_id and to_user_id,
//	flags not-sender and else-broadcast, decided constant
type Decision struct {
	Verdict string   `json:"verdict"`           // as tables and logs spell it
	Word    string   `json:"word"`              // the ABI's number: 0x and 16 digits
	Action  string   `json:"action"`            // drop, consume, handle, unicast, …
	Handler string   `json:"handler,omitempty"` // of handle
	Targets string   `json:"targets,omitempty"` // of unicast: sender, session 7, user 7, fields 1 2, master
	Fields  []string `json:"fields,omitempty"`  // their names, if the command's message has them
	Flags   []string `json:"flags,omitempty"`   // log, not-sender, else-broadcast
	Limit   string   `json:"limit,omitempty"`   // the rate limit: limit 50/s per peer, else drop
	Decided string   `json:"decided"`           // constant, inspect, inspect_body
	Fault   string   `json:"fault,omitempty"`   // the kind of fault, if classify failed
	Sources []string `json:"sources,omitempty"` // where its rules are written, as FILE:LINE, if it comes from a table

	Cases []policy.Case `json:"cases,omitempty"` // of a table's rule that is inspected: the first that holds decides
}

// The values of Decided.
const (
	Constant = "constant"     // the ids alone: called once, then in the memo
	ByHeader = "inspect"      // every PDU: its header and its sender
	ByBody   = "inspect_body" // every PDU: its body as well
)

// Decide returns the parts of the verdict on a command.
func Decide(v policy.Verdict, command pdu.CommandID) Decision {
	return decide(answer{verdict: v}, command)
}

// DecideLimited is Decide for a verdict that names that rate limit.
func DecideLimited(v policy.Verdict, command pdu.CommandID, limit policy.RateLimit) Decision {
	return decide(answer{verdict: v.WithLimit(0), limit: limit}, command)
}

// decide takes the parts of a verdict from its spelling, so that both always say the same.
func decide(a answer, command pdu.CommandID) Decision {
	const inspect = abi.InspectHeader | abi.InspectBodyOf
	v := a.verdict
	d := Decision{Verdict: v.String(), Word: fmt.Sprintf("%#016x", v.GuestWord()), Action: v.Action().String(), Decided: decidedBy(v), Fault: string(a.fault)}
	if a.limit != (policy.RateLimit{}) {
		d.Limit = a.limit.String()
		d.Verdict += ", " + d.Limit
	}
	if a.fault != "" {
		d.Verdict = fmt.Sprintf("%s (%s)", v, a.fault)
	}
	parts := strings.Split((v &^ inspect).String(), ", ")
	_, argument, _ := strings.Cut(parts[0], " ")
	switch d.Flags = parts[1:]; v.Action() {
	case policy.Handle:
		d.Handler = argument
	case policy.Unicast:
		d.Targets = argument
		if v.Selector() == abi.ToFields {
			d.Fields = fieldNames(command, v.Argument())
		}
	}
	return d
}

// Text returns the verdict as tables spell it, with the fields of a unicast by name if the
// command's message has them: "unicast fields user_id, not-sender" rather than "unicast
// fields 1, not-sender".
func (d Decision) Text() string {
	if len(d.Fields) == 0 {
		return d.Verdict
	}
	return strings.Replace(d.Verdict, d.Targets, "fields "+strings.Join(d.Fields, " "), 1)
}

func decidedBy(v policy.Verdict) string {
	switch {
	case v.Has(abi.InspectBodyOf):
		return ByBody
	case v.Has(abi.InspectHeader):
		return ByHeader
	default:
		return Constant
	}
}

// fieldNames returns the names of the fields in bits, or nil if the command's message does
// not have all of them.
func fieldNames(command pdu.CommandID, bits uint32) []string {
	message := messageOf(command)
	if message == nil {
		return nil
	}
	var names []string
	for n := protoreflect.FieldNumber(1); n < 32; n++ {
		if bits>>n&1 == 0 {
			continue
		}
		field := message.Fields().ByNumber(n)
		if field == nil {
			return nil
		}
		names = append(names, string(field.Name()))
	}
	return names
}

// messageOf returns the message of a command, or nil if it has none.
func messageOf(command pdu.CommandID) protoreflect.MessageDescriptor {
	t := message.Type(command)
	if t == nil {
		return nil
	}
	return t.Descriptor()
}

package review

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// Warnings returns likely mistakes in the policy as a whole. They are not a reason to refuse it: another
// hub or a later policy may supply what is missing. About commands that the guest inspects nothing is
// known, so they silence a warning that they could contradict:
//
//	unicast user 7, and nothing handled by online-user-info     no user is ever known
//	unicast master, and nothing handled by role-set             no peer is ever master
//	unicast fields 2 of CID_MSG_DATA                            in a group chat that is not a user
func (t *Table) Warnings() []string {
	var asked, inspected bool
	handled := make(map[uint32]bool)
	masters := false
	for _, c := range pdu.KnownCommands() {
		v := t.answers(c.ID)[t.own(c)].verdict
		inspected = inspected || v.Inspected()
		switch {
		case v.Action() == policy.Handle:
			handled[v.Argument()] = true
		case v.Action() == policy.Unicast:
			asked = asked || v.Selector() == abi.ToUser || v.Selector() == abi.ToFields
			masters = masters || v.Selector() == abi.ToMaster
		}
	}
	var warnings []string
	if asked && !inspected && !handled[abi.OnlineUserInfo] && !handled[abi.UserStatusUpdate] {
		warnings = append(warnings, "it sends to the holders of users, but no command is handled by online-user-info or user-status-update, so that no user is ever known")
	}
	if masters && !inspected && !handled[abi.RoleSet] {
		warnings = append(warnings, "it sends to masters, but no command is handled by role-set, so that no peer ever is one")
	}
	return append(warnings, t.misrouted()...)
}

// misrouted warns of known commands that go to the holders of users by fields that do not
// always hold a user. Commands that are inspected are the guest's business.
func (t *Table) misrouted() (warnings []string) {
	for _, c := range pdu.KnownCommands() {
		var told []policy.Verdict
		for _, a := range t.answers(c.ID) {
			v := a.verdict
			if v.Action() != policy.Unicast || v.Selector() != abi.ToFields || v.Inspected() || slices.Contains(told, v) {
				continue
			}
			told = append(told, v)
			for n := protoreflect.FieldNumber(1); n < 32; n++ {
				if v.Argument()>>n&1 == 1 {
					if text := misroutedBy(c, n); text != "" {
						warnings = append(warnings, text)
					}
				}
			}
		}
	}
	return warnings
}

// misroutedBy returns what happens if the field of the command's message is taken for a
// user, or "" if it is one.
func misroutedBy(c pdu.Command, n protoreflect.FieldNumber) string {
	message := messageOf(c.ID)
	if message == nil {
		return ""
	}
	custom := c.ID.IsCustom() // the names of its fields say nothing
	field := message.Fields().ByNumber(n)
	switch {
	case field == nil:
		return fmt.Sprintf("%s is sent to the holders of the user in field %d, which its message %s does not have", c.Name, n, c.Message)
	case custom:
	case strings.HasSuffix(string(field.Name()), "session_id"):
		return fmt.Sprintf("%s is sent to the holders of %s, which is a user in single chats only: in group chats it is the group, so that they go to the user of the same number. "+
			"Broadcast it, or inspect the type of the session, as the shipped policy unicast does", c.Name, field.Name())
	case !strings.Contains(string(field.Name()), "user_id") && !strings.Contains(string(field.Name()), "member_id"):
		return fmt.Sprintf("%s is sent to the holders of %s, which is not a user", c.Name, field.Name())
	}
	return ""
}

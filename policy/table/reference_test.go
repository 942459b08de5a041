package table

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
)

func TestReference(t *testing.T) {
	text := Reference()
	if !strings.HasPrefix(text, "Package table compiles routing tables") || !strings.Contains(text, "\n# Keys\n") || strings.Contains(text, "//") {
		t.Errorf("the reference is\n%s", text)
	}
}

func TestFieldsOfCommands(t *testing.T) {
	if got, want := UserFields(pdu.CID_MSG_DATA), []string{"from_user_id", "to_session_id"}; !slices.Equal(got, want) {
		t.Errorf("UserFields = %q, want %q", got, want)
	}
	if got := NumericFields(pdu.CID_MSG_DATA); !slices.Contains(got, "msg_type") || slices.Contains(got, "msg_data") {
		t.Errorf("NumericFields = %q, want msg_type and not msg_data", got)
	}
	if got := UserFields(0x7fff); got != nil {
		t.Errorf("UserFields of an unknown command = %q", got)
	}
}

// The patterns accept what the parser accepts; what else they accept is for "check" to find.
func TestPatternsAgreeWithTheParser(t *testing.T) {
	condition := regexp.MustCompile(ConditionPattern())
	for _, text := range []string{
		"msg_type = 1-2", "msg_type=1", "body-length > 4096", " body-length  >=  0x10 ", "field 5 != 0x11", "field  5 = 1", "msg_type = MSG_TYPE_GROUP_TEXT",
		"msg_type > 16 and body-length <= 100", "msg_type > 16  and\tbody-length <= 100 and field 1 = 1",
		"", "msg_type", "msg_type == 1", "msg_type = ", "= 1", "msg_type = 1 or msg_type = 2", "msg_type = 1 and", "msg_type ~ 1", "field x = 1",
	} {
		_, problem := parseCondition(text, "IM.Message.IMMsgData")
		if matches := condition.MatchString(text); matches != (problem == nil) {
			t.Errorf("%q matches: %t; the parser says %v", text, matches, problem)
		}
	}
	name := regexp.MustCompile(BasePattern)
	for _, text := range []string{
		"teamtalk", "my-table", "base.toml", "bases/east.toml", "./base.toml", "././a/b.toml", ".toml", ".hidden.toml", "a b.toml",
		"", "/base.toml", "../base.toml", "base", "a/b", "base.json", "x.y", `a\b.toml`, "./../base.toml",
	} {
		b := base{text: text}
		if matches := name.MatchString(text); matches != (b.problem() == "") {
			t.Errorf("extends = %q matches: %t; the parser says %q", text, matches, b.problem())
		}
	}
}

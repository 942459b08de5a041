package policy

import (
	"regexp"
	"strings"
	"testing"

	"switchyard/policy/command"
)

// The pattern matches every rule that ParseRule reads, of all actions, targets and flags that there
// are, and none with an unknown word. If it fails for a new one, add that to RulePattern.
func TestRulePattern(t *testing.T) {
	pattern := regexp.MustCompile(RulePattern())
	anyField := func(string) (int, *command.Problem) { return 1, nil }
	accepted := 0
	for _, action := range Actions {
		for _, what := range append(append([]string{""}, Handlers[:]...), Selectors[:]...) {
			for _, argument := range []string{"", "7", "0x1f", "user_id", "1 2", "user_id 2", "NAME", "archive"} {
				for _, flags := range []string{"", ", log", ",log , not-sender", ", else-broadcast, not-sender, log", ", also group archive", ",  also  group a-1 , log"} {
					text := strings.Join(strings.Fields(action+" "+what+" "+argument), " ") + flags
					_, problem := ParseRule(text, anyField, nil)
					if problem == nil {
						accepted++
					}
					if problem == nil && !pattern.MatchString(text) {
						t.Errorf("%q is a rule, but does not match %s", text, pattern)
					}
				}
			}
		}
	}
	if accepted < 40 {
		t.Errorf("found %d rules, want at least 40", accepted)
	}
	for _, text := range []string{"", "drp", "drop log", "drop,", "handle", "handle rol-set", "unicast", "unicast user", "unicast user x", "unicast fields", "unicast nobody", "drop, lgo", "drop, inspect-body", "unicast group", "unicast group A", "broadcast-all, also", "broadcast-all, also group"} {
		if pattern.MatchString(text) {
			t.Errorf("%q matches, and is not a rule", text)
		}
	}
}

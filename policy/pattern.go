package policy

import (
	"fmt"
	"strings"
)

// RulePattern returns a regular expression for editors that matches what CutLimit and ParseRule read. It
// uses only what Go, JavaScript and Rust read alike, and matches more: flags without effect, and fields
// by any name.
//
//	unicast fields from_user_id to_user_id, not-sender, else-broadcast
func RulePattern() string {
	var actions []string
	for a, name := range Actions {
		switch Action(a) {
		case Handle:
			name += `\s+(` + strings.Join(Handlers[1:], "|") + `)`
		case Unicast:
			name += `\s+(` + strings.Join(targetPatterns(), "|") + `)`
		}
		actions = append(actions, name)
	}
	flags := strings.Join(append(RuleFlags(), limitPattern, `else\s+drop`), "|")
	flags = strings.ReplaceAll(flags, alsoGroup+"NAME", `also\s+group\s+`+groupPattern)
	return fmt.Sprintf(`^\s*(%s)(\s*,\s*(%s))*\s*$`, strings.Join(actions, "|"), flags)
}

const (
	groupPattern  = `[a-z0-9-]{1,40}`
	numberPattern = `([0-9]+|0x[0-9A-Fa-f]+)`
	limitPattern  = `limit\s+` + numberPattern + `/(s|min)\s+per\s+(peer|tenant)(\s+burst\s+` + numberPattern + `)?`
)

// targetPatterns returns a pattern for each of Selectors.
func targetPatterns() []string {
	patterns := map[string]string{
		"session": `session\s+` + numberPattern,
		"user":    `user\s+` + numberPattern,
		"group":   `group\s+` + groupPattern,
		"fields":  `fields(\s+([A-Za-z_][A-Za-z0-9_]*|` + numberPattern + `))+`,
	}
	var targets []string
	for _, name := range Selectors {
		if p, ok := patterns[name]; ok {
			name = p
		}
		targets = append(targets, name)
	}
	return targets
}

package table

import (
	_ "embed" // for the package's comment
	"strings"

	"switchyard/pdu"
)

//go:embed table.go
var tableSource string

// Reference returns the package's comment, from which the manual page of tables is made. It is in
// the form that package go/doc/comment reads.
func Reference() string {
	var text strings.Builder
	for line := range strings.Lines(tableSource) {
		comment, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		text.WriteString(strings.TrimPrefix(comment, " "))
	}
	return text.String()
}

// UserFields returns the names of the fields of the command's body that a unicast can name.
func UserFields(id pdu.CommandID) (names []string) {
	for _, f := range usersIn(messageOf(id)) {
		names = append(names, f.name)
	}
	return names
}

// NumericFields returns the names of the fields of the command's body that a case can compare.
func NumericFields(id pdu.CommandID) (names []string) {
	for _, f := range numericFields(messageOf(id)) {
		names = append(names, string(f.Name()))
	}
	return names
}

// BasePattern is what extends may name, as a regular expression for editors: a shipped table, or a
// file of the folder or below it.
const BasePattern = `^([^/.\\]+|(\./)*([^/.\\]|\.[^/.\\])[^\\]*\.toml|\.toml)$`

// ConditionPattern returns what a condition of a case is as a regular expression, for editors. It
// accepts more than the parser, which knows the fields of each command.
func ConditionPattern() string {
	one := strings.TrimSuffix(strings.TrimPrefix(comparisonForm.String(), "^"), "$")
	return `^\s*` + one + `(\s+and\s+` + one + `)*\s*$`
}

package table

import (
	"fmt"
	"sort"
	"strings"
)

// An Error is one fault of a table, and what to do about it.
type Error struct {
	Name   string // of the table, as given to Parse
	Line   int    // from 1
	What   string
	Remedy string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s; %s", e.Name, e.Line, e.What, e.Remedy) }

// Errors is every fault of a table, in the order of lines.
type Errors []*Error

// Error returns one line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, each an *Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, fault := range e {
		errs[i] = fault
	}
	return errs
}

func (e Errors) sort() {
	sort.SliceStable(e, func(i, j int) bool { return e[i].Line < e[j].Line })
}

// didYouMean returns the remedy for a word that should have been one of the
// known: the nearest of them, or otherwise.
func didYouMean(word string, known []string, otherwise string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return otherwise
}

// nearest returns the known word that takes the fewest edits to get from word,
// letter case aside; failing a near one, the shortest that contains word; failing
// that, "".
func nearest(word string, known []string) string {
	const longest = 64 // no known word is longer, so a longer one is not a slip
	if word == "" || len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, fewest := "", longest
	for _, k := range known {
		d := distance(word, strings.ToLower(k))
		if d < fewest && d <= max(len(word), len(k))/3+1 {
			best, fewest = k, d
		}
	}
	if best != "" || len(word) < 4 {
		return best
	}
	for _, k := range known {
		if strings.Contains(strings.ToLower(k), word) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// distance returns the number of bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

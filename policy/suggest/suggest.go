// Package suggest finds the known word that was probably meant by an unknown one, for
// error messages.
package suggest

import (
	"cmp"
	"fmt"
	"strings"
)

// longest is the length in bytes of the longest word that can be a misspelling.
const longest = 64

// Hint returns the remedy for a word that is none of the known: "did you mean" the nearest
// one, or otherwise.
func Hint(word string, known []string, otherwise string) string {
	if near := Word(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return otherwise
}

// Word returns the known word nearest to word in spelling, ignoring case, if at most about
// every third letter differs; one that begins with word counts as nearest if no other
// differs in less than two letters. Otherwise it returns the shortest known word that contains
// word, or "".
func Word(word string, known []string) string {
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
	if len(word) < 4 || fewest < 2 {
		return best
	}
	if begun := shortest(word, known, strings.HasPrefix); begun != "" || best != "" {
		return cmp.Or(begun, best)
	}
	return shortest(word, known, strings.Contains)
}

// shortest returns the shortest known word that is so by word.
func shortest(word string, known []string, is func(known, word string) bool) (best string) {
	for _, k := range known {
		if is(strings.ToLower(k), word) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// distance returns the number of bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

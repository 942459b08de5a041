// Package suggest finds the known word that somebody probably meant by one that is
// not known. It has no words of its own.
package suggest

import (
	"fmt"
	"strings"
)

// longest is the length in bytes from which on a word is no slip of a known one.
const longest = 64

// Hint returns the remedy for a word that should have been one of the known: the
// nearest of them, or otherwise.
func Hint(word string, known []string, otherwise string) string {
	if near := Word(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return otherwise
}

// Word returns the known word that is spelled most like word, letter case aside: at
// most about every third letter differs. Failing that it is the shortest one that
// contains word, or "".
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

// distance returns how many bytes to insert, delete or replace to make b of a.
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

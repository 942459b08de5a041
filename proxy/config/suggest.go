package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// suggest says which key or table may have been meant by one that is not known:
// the nearest in spelling, else one of the same name elsewhere, else what there is.
func (r *reader) suggest(name string) string {
	known := slices.Sorted(maps.Keys(r.keys))
	known = append(known, slices.Sorted(maps.Keys(r.sections))...)
	section, last := "", name
	if dot := strings.LastIndex(name, "."); dot > 0 && r.sections[name[:dot]] {
		section, last = name[:dot+1], name[dot+1:]
	}
	meant := ""
	if near := nearest(last, children(known, section)); near != "" {
		meant = section + near
	} else if meant = nearest(name, known); section != "" || meant == "" {
		meant = sameLastPart(known, name)
	}
	if meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return "known here: " + strings.Join(children(known, section), ", ")
}

// nearest returns the candidate that is spelled most like name, if one is: at most
// every third letter differs.
func nearest(name string, candidates []string) string {
	best, distance := "", (len(name)+2)/3+1
	for _, candidate := range candidates {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

func sameLastPart(known []string, name string) string {
	last := name[strings.LastIndex(name, ".")+1:]
	for _, candidate := range known {
		if strings.HasSuffix(candidate, "."+last) {
			return candidate
		}
	}
	return ""
}

// children returns the names that may follow a section, which ends in a dot or is
// empty.
func children(known []string, section string) []string {
	var names []string
	for _, candidate := range known {
		if rest, ok := strings.CutPrefix(candidate, section); ok {
			child, _, _ := strings.Cut(rest, ".")
			names = append(names, child)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// editDistance counts the bytes to insert, delete, replace or swap with their
// neighbour that make a into b.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

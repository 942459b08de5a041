package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard/policy/nearest"
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
	if near := nearest.Word(last, children(known, section)); near != "" {
		meant = section + near
	} else if meant = nearest.Word(name, known); section != "" || meant == "" {
		meant = sameLastPart(known, name)
	}
	if meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return "known here: " + strings.Join(children(known, section), ", ")
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

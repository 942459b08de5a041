package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard/policy/suggest"
)

// suggest returns the remedy for an unknown key: the key or table nearest in spelling,
// else one with the same last part elsewhere, else everything known in that section.
func (r *reader) suggest(name string) string {
	known := r.candidates(name)
	section, last := "", name
	if dot := strings.LastIndex(name, "."); dot > 0 && r.sections[name[:dot]] {
		section, last = name[:dot+1], name[dot+1:]
	}
	meant := ""
	if near := suggest.Word(last, children(known, section)); near != "" {
		meant = section + near
	} else if meant = suggest.Word(name, known); section != "" || meant == "" {
		meant = sameLastPart(known, name)
	}
	if meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return "known here: " + strings.Join(children(known, section), ", ")
}

// candidates returns the keys and tables that a name may mean, sorted. Of tenants and
// listeners it includes only the first and the named one, or the one nearest in spelling:
// there may be thousands, each with an unknown key.
func (r *reader) candidates(name string) []string {
	known := slices.Clone(r.owned[""])
	owners := make(map[string]bool)
	if len(r.config.Tenants) > 0 {
		owners["tenant."+r.config.Tenants[0].Name] = true
	}
	if len(r.config.Listeners) > 0 {
		owners["listener.0"] = true
	}
	if parts := strings.SplitN(name, ".", 3); len(parts) > 1 && (parts[0] == "tenant" || parts[0] == "listener") {
		owner := parts[0] + "." + parts[1]
		if _, ok := r.owned[owner]; !ok {
			owner = suggest.Word(owner, slices.Sorted(maps.Keys(r.owned)))
		}
		owners[owner] = owner != ""
	}
	for owner, is := range owners {
		if is {
			known = append(known, r.owned[owner]...)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// sameLastPart returns a key of another section whose last part is that of name, or "": heartbeat
// outside of any section is perhaps peer.heartbeat. That of a listener goes first, as more people
// write TLS for peers than for operators.
func sameLastPart(known []string, name string) (found string) {
	last := name[strings.LastIndex(name, ".")+1:]
	for _, candidate := range known {
		switch ofListener := strings.HasPrefix(candidate, "listener."); {
		case !strings.HasSuffix(candidate, "."+last):
		case ofListener:
			return candidate
		case found == "":
			found = candidate
		}
	}
	return found
}

// children returns the names that may follow a section, each once and sorted: of "peer.", "timeout" and
// the like. The section ends in a dot or is empty.
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

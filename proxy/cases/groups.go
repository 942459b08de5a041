package cases

import (
	"slices"

	"switchyard/policy"
)

// groups reads a list of names of groups.
func (p *parser) groups(value any, path ...string) (groups []policy.Group) {
	list, ok := value.([]any)
	for _, v := range list {
		name, isText := v.(string)
		if ok = isText; !ok {
			break
		}
		g, err := policy.GroupNamed(name)
		if problem := policy.GroupProblem(err); problem != nil {
			p.faultAt(problem.What, problem.Remedy, path...)
			return nil
		}
		groups = append(groups, g)
	}
	if !ok {
		p.faultAt("groups are a list of names", `write groups = ["admin"]`, path...)
	}
	return groups
}

// A Note is a remark about cases that does not make one fail. Its JSON names are documented to users.
type Note struct {
	Line int    `json:"line,omitempty"` // in the file, from 1; 0 if the peers are not from a file
	Text string `json:"text"`
}

// NotesOfGroups returns a note for each group of a peer that is none of those that the policy names.
// Such a group makes no difference, so its name may be misspelt. A line has one note for each name.
func NotesOfGroups(peers []Peer, named []policy.Group) (notes []Note) {
	type place struct {
		group policy.Group
		line  int
	}
	noted := make(map[place]bool)
	for _, p := range peers {
		for _, g := range p.Groups {
			at := place{g, p.groupsLine}
			if !noted[at] && !slices.Contains(named, g) {
				noted[at] = true
				notes = append(notes, Note{at.line, policy.NotNamed(g.String(), named)})
			}
		}
	}
	return notes
}

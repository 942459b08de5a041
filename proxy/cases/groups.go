package cases

import (
	"strings"

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
		if err != nil {
			what, remedy, _ := strings.Cut(err.Error(), "; ")
			p.faultAt(what, remedy, path...)
			return nil
		}
		groups = append(groups, g)
	}
	if !ok {
		p.faultAt("groups are a list of names", `write groups = ["admin"]`, path...)
	}
	return groups
}

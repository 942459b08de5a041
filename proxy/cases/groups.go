package cases

import "switchyard/policy"

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

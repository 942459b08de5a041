package wasm

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"switchyard/pdu"
	"switchyard/policy"
)

// These limits bound the search for a policy's rules. When a limit is reached, the search
// ends and keeps the rules that it has found.
const (
	maxPairs     = 8192    // constants that may hold both ids
	surveyCalls  = 200_000 // of classify
	surveyFuel   = 50      // times Limits.Fuel
	surveyFaults = 20
	maxServices  = 32 // with rules of their own
)

// Named implements policy.Namer.
func (p *Policy) Named() policy.Named { return p.named }

// A survey finds the rules of a policy for ids beyond the protocol. It cannot read them in
// the code, so it takes each constant of the module, and each number of the configuration,
// for an id that a rule may name, asks classify about it, and keeps those whose verdict
// differs from that of ids which nothing names:
//
//	constant    0x0900, from "command == 0x0900"  or the bounds of a range
//	candidates  0x08ff 0x0900 0x0901
//	classify    drop   unicast drop           while any other id gets drop
//	kept               0x0900
//
// What it finds lets the memo answer for these ids without calling the guest, and lets package
// review show the rules. A missed rule does no harm: the guest is asked about such PDUs when
// they arrive.
//
// Asking about all 2^32 pairs of ids would take far longer than loading may. Where there are
// too many candidates, or asking uses too much fuel, the result is marked as partial.
type survey struct {
	policy   *Policy
	commands []pdu.CommandID                   // candidates, in order
	services []pdu.ServiceID                   // likewise, without 0–8
	pairs    map[pdu.ServiceID][]pdu.CommandID // from constants that hold both ids

	large         bool // too many candidates for asking about all their pairs
	calls, faults int
	fuel          uint64
	found         map[policy.IDs]bool
	named         policy.Named
}

// survey finds the rules of a policy that has passed the dry run.
func (l *loader) survey() policy.Named {
	s := survey{policy: l.policy, pairs: make(map[pdu.ServiceID][]pdu.CommandID), found: make(map[policy.IDs]bool)}
	s.collect(l.metered.Constants, l.config)
	s.findCommands()
	s.findServices()
	for _, c := range pdu.CustomCommands() { // their PDUs are common
		s.keep(c.Service, c.ID)
	}
	s.named.Pairs = slices.SortedFunc(maps.Keys(s.found), func(a, b policy.IDs) int {
		return cmp.Or(cmp.Compare(a.Command, b.Command), cmp.Compare(a.Service, b.Service))
	})
	return s.named
}

var number = regexp.MustCompile(`\b(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})\b`)

// collect makes candidates of the constants of the module and the numbers of its
// configuration.
func (s *survey) collect(constants []int64, config []byte) {
	var exact, near [1 << 16]bool // near: the ends of a range are in it, or beside it
	pairs := make(map[policy.IDs]bool)
	take := func(v int64) {
		switch {
		case v >= -0xffff && v <= 0xffff:
			id := max(v, -v) // compilers subtract by adding
			exact[id], near[max(id-1, 0)], near[id], near[min(id+1, 0xffff)] = true, true, true, true
		case v == int64(int32(v)) || v == int64(uint32(v)):
			if len(pairs) < maxPairs {
				pairs[policy.IDs{Service: pdu.ServiceID(uint32(v) >> 16), Command: pdu.CommandID(v & 0xffff)}] = true
			}
		}
	}
	for _, v := range constants {
		take(v)
	}
	for _, text := range number.FindAllString(string(config), maxPairs) {
		if v, err := strconv.ParseInt(text, 0, 64); err == nil {
			take(v)
		}
	}
	for p := range pairs {
		exact[p.Service], near[p.Service] = true, true
		s.pairs[p.Service] = append(s.pairs[p.Service], p.Command)
	}
	s.commands = chosen[pdu.CommandID](&near)
	s.services = further(&near)
	if len(s.services)*len(s.commands) > surveyCalls/4 {
		s.large, s.named.Partial = true, true
		s.services = further(&exact)
	}
}

// chosen returns the ids that are set, in order.
func chosen[ID ~uint16](set *[1 << 16]bool) (ids []ID) {
	for id, in := range set {
		if in {
			ids = append(ids, ID(id))
		}
	}
	return ids
}

// further returns the services that are set and beyond the protocol, in order.
func further(set *[1 << 16]bool) []pdu.ServiceID {
	return slices.DeleteFunc(chosen[pdu.ServiceID](set), func(s pdu.ServiceID) bool { return policy.InMemo(s, 0) })
}

// ask returns the verdict by ids, unless it fails or enough was asked.
func (s *survey) ask(service pdu.ServiceID, command pdu.CommandID) (policy.Verdict, bool) {
	if s.calls >= surveyCalls || s.faults >= surveyFaults || s.fuel >= surveyFuel*s.policy.limits.Fuel {
		s.named.Partial = true
		return 0, false
	}
	a := s.policy.ExplainClassify(service, command)
	s.calls++
	s.fuel += a.Fuel
	if a.Fault != nil {
		s.faults++
	}
	return a.Verdict, a.Fault == nil
}

// unnamed returns n ids that no candidate is, the highest ones.
func unnamed[ID ~uint16](candidates []ID, n int) (ids []ID) {
	for id := ID(0xffff); len(ids) < n && id > 0; id-- {
		if _, named := slices.BinarySearch(candidates, id); !named {
			ids = append(ids, id)
		}
	}
	return ids
}

// otherwise returns the verdict of a service on most of some commands that nothing names.
func (s *survey) otherwise(service pdu.ServiceID) (v policy.Verdict, ok bool) {
	count := make(map[policy.Verdict]int)
	for _, c := range unnamed(s.commands, 3) {
		if one, decided := s.ask(service, c); decided {
			if count[one]++; !ok || count[one] > count[v] {
				v, ok = one, true
			}
		}
	}
	return v, ok
}

// keep records a pair that has a rule, unless the table of the memo already has an entry
// for it.
func (s *survey) keep(service pdu.ServiceID, command pdu.CommandID) {
	ids := policy.IDs{Service: service, Command: command}
	switch {
	case policy.InMemo(service, command) || s.found[ids]:
	case len(s.found) < policy.MaxNamedPairs:
		s.found[ids] = true
	default:
		s.named.Partial = true
	}
}

// firstBeyond is the first command without an entry in the memo.
var firstBeyond = func() (c pdu.CommandID) {
	for policy.InMemo(0, c) {
		c++
	}
	return c
}()

// findCommands finds the commands beyond the protocol for which services 0–8 have rules. It
// follows a range from the candidate at its beginning to the one at its end, because of a range
// only the bounds are constants of the code:
//
//	rule        0x0900 <= command <= 0x0905: unicast     otherwise drop
//	candidates  0x08ff  0x0900  0x0901  …  0x0904  0x0905  0x0906
//	verdict     drop    unicast unicast    unicast unicast drop
//	between                             0x0902 and 0x0903: asked as well, and kept
func (s *survey) findCommands() {
	beyond, _ := slices.BinarySearch(s.commands, firstBeyond)
	candidates := s.commands[beyond:]
	for service := pdu.ServiceID(0); policy.InMemo(service, 0); service++ {
		otherwise, ok := s.otherwise(service)
		if !ok {
			continue
		}
		var before policy.Verdict // of the candidate before, if in is set
		in := false
		for i, c := range candidates {
			v, decided := s.ask(service, c)
			rule := decided && v != otherwise
			if rule {
				s.keep(service, c)
			}
			if rule && in && v == before {
				for between := candidates[i-1] + 1; between < c && len(s.found) < policy.MaxNamedPairs; between++ {
					if v, decided := s.ask(service, between); decided && v != otherwise {
						s.keep(service, between)
					}
				}
			}
			before, in = v, rule
		}
		for _, c := range s.pairs[service] {
			if v, decided := s.ask(service, c); decided && v != otherwise {
				s.keep(service, c)
			}
		}
	}
}

// findServices finds the services beyond the protocol that have other verdicts than a
// service that nothing names, on some command that a rule may name. For such a service all
// these commands are kept, those with the usual verdict too.
func (s *survey) findServices() {
	if len(s.services) == 0 {
		return
	}
	common := s.commonCommands()
	usual := make(map[pdu.CommandID]policy.Verdict)
	other := unnamed(s.services, 1)[0]
	for _, service := range s.services {
		commands := append(common[:len(common):len(common)], s.pairs[service]...)
		differs := false
		for _, c := range commands {
			if _, asked := usual[c]; !asked {
				usual[c], _ = s.ask(other, c)
			}
			v, decided := s.ask(service, c)
			differs = differs || decided && v != usual[c]
		}
		switch {
		case !differs:
		case len(s.named.Services) == maxServices:
			s.named.Partial = true
			return
		default:
			s.named.Services = append(s.named.Services, service)
			for _, c := range commands {
				s.keep(service, c)
			}
		}
	}
}

// commonCommands returns the commands about which each further service is asked: those of
// the protocol, one that nothing names, and the candidates; if those are too many, only the
// candidates for which some service has a rule.
func (s *survey) commonCommands() []pdu.CommandID {
	commands := unnamed(s.commands, 1)
	for _, c := range pdu.KnownCommands() {
		commands = append(commands, c.ID)
	}
	if !s.large {
		commands = append(commands, s.commands...)
	} else {
		for p := range s.found {
			commands = append(commands, p.Command)
		}
	}
	slices.Sort(commands)
	return slices.Compact(commands)
}

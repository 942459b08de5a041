package table

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Warnings returns the rows of the table itself, and not of those that it extends, that can never
// decide, with their lines. name is the table's.
func (t *Table) Warnings(name string) []string {
	found := append(t.deadRanges(), t.idleLimits()...)
	for _, r := range t.conditional() {
		for i, c := range r.cases {
			if c.at.File == "" && neverHolds(r.cases, i) {
				found = append(found, deadRow{c.at.Line, fmt.Sprintf("the case %q never decides: it contradicts itself, or earlier cases take all of it", c.when)})
			}
		}
	}
	slices.SortFunc(found, func(a, b deadRow) int { return cmp.Compare(a.line, b.line) })
	var texts []string
	for _, d := range found {
		texts = append(texts, fmt.Sprintf("%s:%d: %s", name, d.line, d.what))
	}
	return texts
}

// A deadRow is a row that never decides.
type deadRow struct {
	line int
	what string
}

// deadRanges returns the ranges of which narrower rules take every command, and the else behind
// rules for all commands.
func (t *Table) deadRanges() (dead []deadRow) {
	taken := make([]bool, 1<<16)
	left := len(taken)
	for id := range t.commands {
		taken[id] = true
		left--
	}
	for _, r := range t.ranges {
		before := left
		for id := uint32(r.lo); id <= uint32(r.hi); id++ {
			if !taken[id] {
				taken[id] = true
				left--
			}
		}
		if left == before && r.at.File == "" {
			dead = append(dead, deadRow{r.at.Line, fmt.Sprintf("the range %s never decides: narrower rules take each of its commands", r.word)})
		}
	}
	const everything = "else never decides: other rules take every command"
	if left > 0 {
		return dead
	}
	if t.otherwise.at.Line > 0 && t.otherwise.at.File == "" {
		dead = append(dead, deadRow{t.otherwise.at.Line, everything})
	}
	for _, r := range t.services {
		if r.at.File == "" {
			dead = append(dead, deadRow{r.at.Line, everything})
		}
	}
	return dead
}

// A set is numbers of 32 bits, as intervals in order, both ends included.
type set [][2]int64

// set returns the values for which the comparison holds.
func (c comparison) set() (s set) {
	in := set{{int64(c.lo), int64(c.hi)}}
	if c.not {
		return set{{0, math.MaxUint32}}.minus(in)
	}
	return in
}

// minus returns the numbers of s that are not in t.
func (s set) minus(t set) set {
	for _, cut := range t {
		var left set
		for _, part := range s {
			if lo, hi := part[0], min(part[1], cut[0]-1); lo <= hi {
				left = append(left, [2]int64{lo, hi})
			}
			if lo, hi := max(part[0], cut[1]+1), part[1]; lo <= hi {
				left = append(left, [2]int64{lo, hi})
			}
		}
		s = left
	}
	return s
}

// sets returns the values of each subject, a field or 0 for the length, for which the condition
// holds.
func (c condition) sets() map[uint32]set {
	all := map[uint32]set{}
	for _, one := range c {
		s, ok := all[one.field]
		if !ok {
			s = set{{0, math.MaxUint32}}
		}
		all[one.field] = s.minus(set{{0, math.MaxUint32}}.minus(one.set()))
	}
	return all
}

// neverHolds reports whether the i-th case never decides: its condition contradicts itself, or the
// cases before it take all values that one subject has in it. An earlier case takes values of a
// subject only if its other comparisons hold whenever those of the i-th case do. An example with the
// subject msg_type:
//
//	"msg_type = 1"                        takes 1
//	"msg_type = 2 and body-length > 10"   takes 2, as the last case has longer bodies alone
//	"msg_type = 1-2 and body-length > 20" nothing is left
func neverHolds(cases []oneCase, i int) bool {
	mine := cases[i].when.sets()
	for subject, left := range mine {
		for _, earlier := range cases[:i] {
			theirs := earlier.when.sets()
			if !impliesOthers(mine, theirs, subject) {
				continue
			}
			if s, ok := theirs[subject]; ok {
				left = left.minus(s)
			} else {
				left = nil
			}
		}
		if len(left) == 0 {
			return true
		}
	}
	return false
}

// impliesOthers reports whether what mine says of subjects other than that one implies what theirs
// says of them.
func impliesOthers(mine, theirs map[uint32]set, subject uint32) bool {
	for other, s := range theirs {
		own, ok := mine[other]
		if other == 0 && !ok { // every body has a length
			own, ok = set{{0, math.MaxUint32}}, true
		}
		if other != subject && (!ok || len(own.minus(s)) > 0) {
			return false
		}
	}
	return true
}

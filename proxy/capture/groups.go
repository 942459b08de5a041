package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// Groups have other numbers in another process, so a record has checksums of their names: that of
// "unicast group" as the argument of the verdict, and that of "also group" beside it. A reader that
// does not know the name of a group, because no policy or configuration that it has read names it,
// shows it as a question mark. The comment of the packet has the names.

// withSums returns the word of a guest for the verdict, with sums, and the sum of the group that gets a
// copy as well, or 0.
func withSums(v policy.Verdict) (word uint64, also uint32) {
	if also = v.Also().Sum(); also != 0 {
		v = v.WithAlso(0)
	}
	if target := v.Target(); target != 0 {
		v = v&(1<<abi.ArgumentShift-1) | policy.Verdict(target.Sum())<<abi.ArgumentShift
	}
	return v.GuestNumbers(), also
}

// fromSums is the inverse of withSums.
func fromSums(word uint64, also uint32) policy.Verdict {
	v := policy.VerdictOf(word)
	if v.Target() != 0 {
		v = v&(1<<abi.ArgumentShift-1) | policy.Verdict(policy.GroupOfSum(v.Argument()))<<abi.ArgumentShift
	}
	if also != 0 {
		v = v.WithAlso(policy.GroupOfSum(also))
	}
	return v
}

// maxGroupNames is the length of the longest list of groups: 32 names of 40 bytes, and commas.
const maxGroupNames = tenant.MaxGroups*41 - 1

// payload returns what follows the record's head: the PDU, as much of it as is kept, or the names of
// groups. length is that of the whole.
func (r *Record) payload() (kept []byte, length int) {
	if r.Kind == Grouped {
		names := r.groupNames(",")
		return []byte(names), len(names)
	}
	return r.PDU[:min(len(r.PDU), MaxKept)], r.Length
}

// groupNames returns the names of the peer's groups.
func (r *Record) groupNames(separator string) string {
	if r.Membership == nil {
		return ""
	}
	return strings.Join(policy.GroupNames(r.Membership.Groups), separator)
}

// parseGroups reads the names that PDU holds, and clears PDU. No name is an empty text.
func (r *Record) parseGroups(muted bool) error {
	text := string(r.PDU)
	if r.Length != len(text) || len(text) > maxGroupNames {
		return fmt.Errorf("%d bytes of %d with the names of a peer's groups, where all are needed and %d are possible", len(text), r.Length, maxGroupNames)
	}
	r.PDU, r.Length = nil, 0
	if text == "" && !muted {
		return nil
	}
	if text == "" {
		return errors.New("a peer that gets no broadcasts, and is in no group")
	}
	r.Membership = &hub.Membership{Muted: muted}
	for _, name := range strings.Split(text, ",") {
		g, err := policy.GroupNamed(name)
		if err != nil {
			return fmt.Errorf("the groups of a peer: %w", err)
		}
		if slices.Contains(r.Membership.Groups, g) {
			return fmt.Errorf("the groups of a peer: %s is named twice", g)
		}
		r.Membership.Groups = append(r.Membership.Groups, g)
	}
	return nil
}

// groupsComment describes a record of the kind Grouped.
func (r *Record) groupsComment() string {
	switch {
	case r.Membership == nil:
		return "the peer is in no group"
	case r.Membership.Muted:
		return "the peer is in " + r.groupNames(", ") + ", and gets no broadcasts"
	}
	return "the peer is in " + r.groupNames(", ")
}

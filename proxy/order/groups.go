package order

import (
	"fmt"

	"switchyard/policy"
	"switchyard/policy/abi"
)

// Each hub numbers the groups that it knows by itself, so a record has checksums of their names, in
// the fields of the limits, which only runs for handlers need. What stands for the verdict means the
// same to a hub of a release without groups, but for the copies to the group:
//
//	verdict                               on the wire              users         peer users
//	unicast group archive                 unicast session 0                      sum of archive
//	broadcast-all, also group archive     broadcast-all            sum of archive
//
// No session is number 0. A hub to which a name is unknown has no peers in that group; the run keeps
// the checksum, so that its record is written as it was read.

// toNobody is what stands for a unicast to a group.
const toNobody policy.Verdict = abi.Unicast | abi.ToSession<<abi.SelectorShift

const targetMask policy.Verdict = abi.ActionMask | abi.SelectorMask<<abi.SelectorShift | 0xffffffff<<abi.ArgumentShift

// onWire returns what is in the record for the verdict and the limits.
func (r *Run) onWire() (v policy.Verdict, users, peerUsers uint32) {
	v, users, peerUsers = r.Verdict, r.Users, r.PeerUsers
	if target := v.Target(); target != 0 {
		v, peerUsers = v&^targetMask|toNobody, sumOf(target, peerUsers)
	}
	if also := r.Verdict.Also(); also != 0 {
		v, users = v.WithAlso(0), sumOf(also, users)
	}
	return v, users, peerUsers
}

// sumOf returns the checksum of the group's name, which is the one kept if the name is unknown.
func sumOf(g policy.Group, kept uint32) uint32 {
	if g == policy.ElsewhereGroup {
		return kept
	}
	return g.Sum()
}

// fromWire is the inverse of onWire.
func (r *Run) fromWire() error {
	if err := r.Verdict.Check(); err != nil {
		return err
	}
	switch r.Verdict.Action() {
	case policy.Unicast, policy.BroadcastExceptSender, policy.BroadcastAll:
	default:
		return nil
	}
	if r.Verdict.Target() != 0 || r.Verdict.Also() != 0 {
		return fmt.Errorf("verdict %#016x has the number of a group, not its name", uint64(r.Verdict))
	}
	target, also := policy.GroupOfSum(r.PeerUsers), policy.GroupOfSum(r.Users)
	if target != 0 && r.Verdict&targetMask != toNobody {
		return fmt.Errorf("verdict %#016x goes to others than the group", uint64(r.Verdict))
	}
	if target != 0 {
		r.Verdict = r.Verdict&^targetMask | policy.UnicastTo(target)
	}
	r.Verdict = r.Verdict.WithAlso(also)
	if target != policy.ElsewhereGroup {
		r.PeerUsers = 0
	}
	if also != policy.ElsewhereGroup {
		r.Users = 0
	}
	return nil
}

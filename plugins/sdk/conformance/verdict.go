package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"switchyard/policy"
	"switchyard/policy/abi"
)

// flags are those of a verdict by the names that it prints.
var flags = map[string]policy.Verdict{
	"inspect-header": abi.InspectHeader,
	"inspect-body":   abi.InspectBodyOf,
	"log":            abi.Log,
	"not-sender":     abi.NotSender,
	"else-broadcast": abi.ElseBroadcast,
}

// readVerdict reads what policy.Verdict prints, and nothing else.
func readVerdict(text string) (policy.Verdict, error) {
	parts := strings.Split(text, ", ")
	words := strings.Fields(parts[0])
	if len(words) == 0 {
		return 0, fmt.Errorf("%q is no verdict", text)
	}
	v := policy.Verdict(slices.Index(policy.Actions[:], words[0]) & abi.ActionMask)
	switch words = words[1:]; v.Action() {
	case policy.Handle:
		v |= argument(slices.Index(policy.Handlers[:], strings.Join(words, " ")))
	case policy.Unicast:
		v |= readTargets(words)
	}
	for _, f := range parts[1:] {
		v |= flags[f]
	}
	// What was not understood is not there now.
	if err := v.Check(); err != nil || v.String() != text {
		return 0, fmt.Errorf("%q is no verdict", text)
	}
	return v, nil
}

func readTargets(words []string) (v policy.Verdict) {
	if len(words) == 0 {
		return 0
	}
	selector := slices.Index(policy.Selectors[:], words[0])
	v = policy.Verdict(selector&abi.SelectorMask) << abi.SelectorShift
	for _, w := range words[1:] {
		n, err := strconv.ParseUint(w, 10, 32)
		switch {
		case err != nil:
		case selector == abi.ToFields:
			v |= argument(1 << (n & 31))
		default:
			v |= argument(int(n))
		}
	}
	return v
}

func argument(n int) policy.Verdict { return policy.Verdict(uint32(n)) << abi.ArgumentShift }

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// memberFaults is the faults of a list's members. Each gets the line of its member, where the list
// has a line for each.
type memberFaults []memberFault

type memberFault struct {
	index int
	error
}

// Error implements error: one line for each fault.
func (f memberFaults) Error() string {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault.error
	}
	return errors.Join(errs...).Error()
}

// setList sets the field to a list of texts, each converted by parse. An empty list
// becomes nil. The error may be memberFaults: all members are looked at, so that each fault is reported
// on its own line. Of two equal members the second is a fault; a member with a fault equals none.
func setList[T comparable](field *[]T, value any, parse func(string) (T, error)) error {
	var members []any
	switch v := value.(type) {
	case []any:
		members = v
	case string:
		return wrongType(fmt.Sprintf("a list, [%q]", v), value)
	default:
		return wrongType("a list of texts in brackets", value)
	}
	var list []T
	var faults memberFaults
	seen := make(map[T]bool)
	for i, member := range members {
		text, ok := member.(string)
		if !ok {
			faults = append(faults, memberFault{i, wrongType("a text in quotes", member)})
			continue
		}
		v, err := parse(text)
		switch {
		case err != nil:
			faults = append(faults, memberFault{i, err})
		case seen[v]:
			faults = append(faults, memberFault{i, fmt.Errorf("%q is listed twice; remove one", text)})
		}
		seen[v] = err == nil
		list = append(list, v)
	}
	if len(faults) > 0 {
		return faults
	}
	*field = list
	return nil
}

// splitList converts a text with commas to a list as TOML decodes one. A text of blanks is an empty list,
// so that a variable can take back what the file lists.
func splitList(text string) []any {
	var members []any
	if strings.TrimSpace(text) == "" {
		return []any{}
	}
	for member := range strings.SplitSeq(text, ",") {
		members = append(members, strings.TrimSpace(member))
	}
	return members
}

// member returns the place of a member of a list.
func (r *reader) member(list string, index int) Place {
	place := r.place(list)
	if inFile, ok := r.config.places[list+"."+strconv.Itoa(index)]; ok && inFile.Source == place.Source {
		return inFile
	}
	return place
}

// networkPattern is what parseNetwork accepts, for editors: it does not see bits behind the prefix.
const networkPattern = `^([0-9]{1,3}(\.[0-9]{1,3}){3}(/(3[0-2]|[12]?[0-9]))?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`

// parseNetwork reads a network or a single address. It accepts one spelling for each
// network, so that equal networks are equal texts.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q has a zone, which no source is known by; write %q", text, address.WithZone(""))
	} else if err == nil {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network; write an address, with the length of a prefix unless it is only one, such as \"10.1.0.0/16\" or \"10.1.2.3\"", text)
	}
	if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		return netip.Prefix{}, fmt.Errorf("%q is a network of IPv4; write %q", text, network.Masked())
	}
	if network != network.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind the prefix; write %q for the network, or %q for the one address",
			text, network.Masked(), network.Addr())
	}
	return network, nil
}

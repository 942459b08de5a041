package config

import (
	"fmt"
	"strconv"
	"strings"

	"switchyard/pdu/body"
)

// Clients returns the types of client that are admitted besides the original's, and as
// which of those each counts.
func (p Protocol) Clients() body.ClientTypes {
	types := make(body.ClientTypes, len(p.ClientTypes))
	for _, text := range p.ClientTypes {
		if admitted, as, err := parseClientType(text); err == nil { // as it was checked
			types[admitted] = as
		}
	}
	return types
}

// checkClientType accepts a kind of client and a number, as in "mobile 0x13".
var checkClientType = check{`^(pc|mobile) [0-9][0-9A-Fa-f_xXoO]*$`, func(text string) error {
	_, _, err := parseClientType(text)
	return err
}}

// parseClientType reads a member of protocol.client_types. Types of one kind are counted
// together, because the hub only distinguishes PCs from phones and sends no client type.
func parseClientType(text string) (admitted, as body.ClientType, err error) {
	kind, number, _ := strings.Cut(text, " ")
	as, known := map[string]body.ClientType{"pc": body.ClientWindows, "mobile": body.ClientAndroid}[kind]
	n, err := strconv.ParseUint(number, 0, 32)
	switch admitted = body.ClientType(n); {
	case !known || err != nil:
		return 0, 0, fmt.Errorf("%q is not a kind and number of a client; write it like \"mobile 0x13\" or \"pc 3\"", text)
	case admitted.Known():
		return 0, 0, fmt.Errorf("%q is one of TeamTalk's own types, 1, 2, 0x11 and 0x12; leave it out", text)
	}
	return admitted, as, nil
}

// checkProtocol refuses a client type that is both.
func (r *reader) checkProtocol() {
	const name = "protocol.client_types"
	if !r.sound(name) {
		return
	}
	seen := make(map[body.ClientType]string)
	for i, text := range r.config.Protocol.ClientTypes {
		admitted, _, _ := parseClientType(text)
		if before, twice := seen[admitted]; twice {
			r.fault(r.member(name, i), "%s: %q names the type of %q again; leave one of them", name, text, before)
		}
		seen[admitted] = text
	}
}

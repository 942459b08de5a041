package main

import (
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/plugins/teamtalk/native"
	"switchyard/policy/source"
)

// A build for measuring serves the default policy in Go like any other; no other build
// knows it.
func TestNativePolicy(t *testing.T) {
	if !native.Built {
		if _, err := source.Find(native.Name, ".", 1<<20); err == nil {
			t.Errorf("this build has the policy %s; only one with the tag native has", native.Name)
		}
		return
	}
	p := start(t, t.TempDir(), "--policy", native.Name)
	a, b := p.dial(), p.dial()
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("by Go's table"))
	a.say(pdutest.Raw(0x7777, 1, nil), m)
	b.expect(m)
	a.settle()
}

//go:build full

package main

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
)

// A hub with three listeners passes the accounts of numbered traffic, also if connections end and
// others begin meanwhile.
func TestAccountsOfALoneHub(t *testing.T) {
	t.Parallel()
	tr := startTraffic(startStandIn(t, "default"), 4, 5*time.Millisecond)
	defer tr.close()
	tr.talk()
	tr.awaitHeard(200)
	for _, k := range tr.at(1)[:2] {
		k.allowEnd()
		k.Close()
		tr.connect(0, false)
	}
	tr.talk()
	tr.awaitHeard(600)
	tr.count().check(tr, "a lone hub")
}

// spoilings are what a hub may do wrong with a PDU and the next one over the same connection.
var spoilings = map[string]func(p, next []byte) [][]byte{
	"lost":     func(_, next []byte) [][]byte { return [][]byte{next} },
	"doubled":  func(p, next []byte) [][]byte { return [][]byte{p, next, p} },
	"reversed": func(p, next []byte) [][]byte { return [][]byte{next, p} },
}

// A hub that does something wrong with one PDU to one connection fails them.
func TestAccountsFindFaults(t *testing.T) {
	t.Parallel()
	hubs := startStandIn(t, "default")
	for name, found := range map[string]func(account) bool{
		"lost":     func(a account) bool { return a.lost == 1 && a.doubled == 0 },
		"doubled":  func(a account) bool { return a.doubled == 1 && a.lost == 0 },
		"reversed": func(a account) bool { return a.misordered == 1 && a.lost+a.doubled == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := &spoiler{spoil: spoilings[name]}
			bad := &fleet{t: t, members: hubs.members, addresses: slices.Clone(hubs.addresses)}
			bad.addresses[1] = startRelay(t, hubs.addresses[1], s.connection).address
			tr := startTraffic(bad, 2, 5*time.Millisecond)
			defer tr.close()
			tr.talk()
			tr.awaitHeard(100)
			s.due.Store(true)
			tr.awaitHeard(200)
			if a := tr.count(); !found(a) || a.first == "" {
				t.Errorf("%v; %s", a, a.first)
			}
		})
	}
}

// A spoiler spoils one broadcast and what comes next over the same connection.
type spoiler struct {
	spoil func(p, next []byte) [][]byte
	due   atomic.Bool // the next broadcast is to be spoiled
}

// connection returns the state of one connection.
func (s *spoiler) connection() func([]byte) [][]byte {
	var kept []byte
	return func(p []byte) [][]byte {
		first := kept
		switch {
		case first != nil:
			kept = nil
			return s.spoil(first, p)
		case pdu.ParseHeader(p).Command == pdu.CID_MSG_DATA && s.due.CompareAndSwap(true, false):
			kept = p
			return nil
		}
		return [][]byte{p}
	}
}

package hub_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// named is a PDU for the holders of the users that announce(0, users) announces, in field 1.
func named(users int) []byte {
	var b []byte
	for user := range users {
		b = binary.AppendUvarint(append(b, 0x08), uint64(benchUser(user)))
	}
	return message(others, 1, string(b))
}

// The holders of many users are few peers: duplicates are removed on the way, and a
// large list is freed afterwards.
func TestHoldersAreGivenBack(t *testing.T) {
	r := commonRules()
	r[others] = abi.Unicast | abi.ToFields<<16 | 2<<32
	h := newHub(r)
	const n, users = 50, 1000
	var peers []*hubtest.Peer
	for range n {
		g := hubtest.Join(h)
		g.Send(t, announce(0, users))
		peers = append(peers, g)
	}
	m := named(users)
	peers[0].Send(t, m)
	if got := hubtest.Conserved(t, h); got.Due != n {
		t.Errorf("%d copies, want one for each of %d", got.Due, n)
	}
	if got := h.HoldersCap(); got > KeptHolders {
		t.Errorf("room for %d holders is kept", got)
	}
	if got := h.FoundHolders(r[others], m); got < KeptHolders || got > 4*KeptHolders {
		t.Errorf("room for %d holders while %d peers are looked up", got, n)
	}
}

// What a PDU looks up is bounded by how many holders its users have together. One user that is named
// again and again is looked up once.
func TestHoldersOfOnePDU(t *testing.T) {
	r := commonRules()
	r[others] = abi.Unicast | abi.ToFields<<16 | 2<<32
	h := newHub(r)
	const n, users = 100, 700
	var peers []*hubtest.Peer
	for range n {
		g := hubtest.Join(h)
		g.Send(t, announce(0, users))
		peers = append(peers, g)
	}
	if n*users <= MaxFound {
		t.Fatalf("%d peers with %d users are too few", n, users)
	}
	one := named(1)[pdu.HeaderLen:]
	again := message(others, 1, strings.Repeat(string(one), MaxNamed))
	peers[0].Send(t, named(users), again)
	if got := hubtest.Conserved(t, h); got.Due != n || got.Dropped[TooManyUsers] != 1 {
		t.Errorf("%d copies, want %d; dropped %v, want one", got.Due, n, got.Dropped)
	}
	if got := h.FoundHolders(r[others], again); got > KeptHolders {
		t.Errorf("room for %d holders of one user of %d peers", got, n)
	}
}

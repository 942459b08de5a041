//go:build full || race

package proxy

import (
	"runtime"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/tenant"
)

// An idle session in the loop holds no memory of its earlier large PDUs, whichever
// goroutine read them.
func TestNothingIsKeptInTheLoop(t *testing.T) {
	const peers, size = 8, 8 << 20
	limits := patient(testLimits())
	limits.MaxPDU = 2 * size
	limited := limits
	limited.Quota = tenant.Quota{Tenant: tenant.Rates{PDUsIn: 1 << 40}}
	served, addr, _ := serve(t, limited)
	var all []client
	for range peers {
		all = append(all, dial(t, addr))
	}
	large := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, make([]byte, size))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	served.SetLimits(limits)
	before := heap()
	for i, reader := range []string{"goroutines of their own", "the loop"} {
		for _, c := range all {
			c.say(large)
		}
		eventually(t, "all is handled", func() bool {
			return served.hub.Counts().Actions[policy.Consume] == uint64((i+1)*peers) && inLoop(served) == peers
		})
		eventually(t, "the memory is given back, read by "+reader, func() bool { return heap() < before+size })
	}
}

package hub_test

import (
	"bytes"
	"fmt"
	"testing"

	"switchyard/policy/abi"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// BenchmarkStage routes PDUs one by one and in batches, without a stage, in a stage of policies that
// agree on them, and in one of policies that differ.
func BenchmarkStage(b *testing.B) {
	rules := roleRules{commonRules()}
	for _, pdus := range []int{1, 64} {
		for name, h := range map[string]*Hub{
			"without":  newHub(commonRules()),
			"alike":    stage(rules, roleRules{with(everyone, abi.Drop)}, 0.5).Hub,
			"compared": stage(rules, roleRules{with(others, abi.BroadcastAll)}, 0).Hub,
		} {
			b.Run(fmt.Sprintf("%s/%d", name, pdus), func(b *testing.B) { benchmarkStage(b, h, pdus) })
		}
	}
}

func benchmarkStage(b *testing.B, h *Hub, pdus int) {
	batch := bytes.Repeat(message(others, 1, "\x08\x01\x10\x02"+string(filler(100))+string(filler(76))), pdus)
	var all []*hubtest.Peer
	for range 8 {
		all = append(all, hubtest.Join(h))
	}
	benchmarkBatches(b, h, all, batch)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pdus), "ns/PDU")
}

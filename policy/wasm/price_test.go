package wasm

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// BenchmarkPrice is what metering costs real policies: calls of each guest as it is and rewritten,
// in turns, so that both meet the same machine. The figures are the best of many rounds.
//
//	go test -bench Price -run '^$' ./policy/wasm
func BenchmarkPrice(b *testing.B) {
	read := func(path string) []byte {
		module, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		return module
	}
	// from_user_id, to_session_id, msg_id, create_time, msg_type and msg_data of CID_MSG_DATA
	body := append([]byte{8, 0x87, 0x68, 0x10, 0x89, 0x68, 0x18, 0x96, 1, 0x20, 0x90, 0xf3, 0xc1, 0xb2, 5, 0x28, 1, 0x32, 0xb4, 1}, bytes.Repeat([]byte{'x'}, 180)...)
	teamtalk, unicast := read("../../plugins/teamtalk/teamtalk.wasm"), read("../../plugins/unicast/unicast.wasm")
	b.Run("teamtalk classify", func(b *testing.B) { benchmarkPrice(b, teamtalk, abi.Classify, nil) })
	b.Run("unicast classify", func(b *testing.B) { benchmarkPrice(b, unicast, abi.Classify, nil) })
	b.Run("unicast inspect_body", func(b *testing.B) { benchmarkPrice(b, unicast, abi.InspectBody, body) })
	guests := guestsOfLanguages(b)
	delete(guests, "Go") // its calls to the host need the counters that metering adds
	for name, module := range guests {
		b.Run(name+" classify", func(b *testing.B) { benchmarkPrice(b, module, abi.Classify, nil) })
		b.Run(name+" inspect_body", func(b *testing.B) { benchmarkPrice(b, module, abi.InspectBody, body) })
	}
}

func benchmarkPrice(b *testing.B, module []byte, export string, body []byte) {
	calls := [2]func(){pricedCall(b, module, export, body), pricedCall(b, rewrite(b, module), export, body)}
	const round = 1000
	best := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for i, call := range calls {
			began := time.Now()
			for range round {
				call()
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	plain, paid := float64(best[0].Nanoseconds())/round, float64(best[1].Nanoseconds())/round
	b.ReportMetric(plain, "plain-ns/call")
	b.ReportMetric(paid, "metered-ns/call")
	b.ReportMetric(100*(paid/plain-1), "%-more")
	b.ReportMetric(0, "ns/op")
}

// pricedCall instantiates a module, metered or not, and returns a call of an export about a message.
func pricedCall(b *testing.B, module []byte, export string, body []byte) func() {
	ctx := context.Background()
	e := newEngine(b, DefaultLimits(), nil)
	made := compileModule(e.config, module)
	if made.err != nil {
		b.Fatal(made.err)
	}
	b.Cleanup(func() { made.close() })
	p := new(Policy)
	p.lines.init("guest", e.log)
	if err := hostFunctions(ctx, made.runtime, made.module, &p.lines); err != nil {
		b.Fatal(err)
	}
	m, err := made.runtime.InstantiateModule(ctx, made.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	if f := m.ExportedFunction(abi.Initialize); f != nil {
		if _, err := f.Call(ctx); err != nil {
			b.Fatal(err)
		}
	}
	f := m.ExportedFunction(export)
	question := []uint64{uint64(pdu.SID_MSG), uint64(pdu.CID_MSG_DATA)}
	if export == abi.InspectBody {
		question = bodyQuestion(b, m, body)
	}
	stack := make([]uint64, len(question))
	return func() {
		copy(stack, question)
		if err := f.CallWithStack(ctx, stack); err != nil {
			b.Fatal(err)
		}
	}
}

// bodyQuestion copies the body to the guest, and returns the parameters of inspect_body.
func bodyQuestion(b *testing.B, m api.Module, body []byte) []uint64 {
	r, err := m.ExportedFunction(abi.Buffer).Call(context.Background(), uint64(DefaultLimits().BodyBytes))
	if err != nil || !m.Memory().Write(uint32(r[0]), body) {
		b.Fatal(r, err)
	}
	hi := uint64(pdu.HeaderLen+len(body))<<32 | 1<<16
	lo := uint64(pdu.SID_MSG)<<48 | uint64(pdu.CID_MSG_DATA)<<32
	return []uint64{r[0], uint64(len(body)), hi, lo, 7, 0}
}

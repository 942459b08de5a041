//go:build full

package conformance

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/sdk/sdktest"
	"switchyard/plugins/toolchain"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// chats is how many chats TestAllocatingGo has judged.
const chats = 20_000

// A policy in Go that allocates in its decisions loses none of them.
func TestAllocatingGo(t *testing.T) {
	goTool(t)
	setOffline(t)
	dir := t.TempDir()
	copyFiles(t, "../go/go.mod", dir)
	copyFiles(t, "../go/switchyard/*.go", filepath.Join(dir, "switchyard"))
	copyFiles(t, "testdata/go_words/*.go", dir)
	var output bytes.Buffer
	module, err := toolchain.Build(t.Context(), dir, &output)
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	p, err := newEngine(t).Load(context.Background(), "go_words", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	random := rand.New(rand.NewPCG(1, 2))
	var texts [100]string
	for i := range texts {
		texts[i] = sentences(random, 2048)
	}
	const batch = 125 // as many as a read of 256 KiB returns
	lost, most := 0, uint64(0)
	for first := 0; first < chats; first += batch {
		r, err := p.Reserve(1)
		if err != nil {
			t.Fatal(err)
		}
		for n := range batch {
			v, err := r.Inspect(abi.InspectBodyOf, sdktest.Question(pdu.CID_MSG_DATA, 0, texts[(first+n)%len(texts)]))
			if err != nil {
				if lost++; lost < 5 {
					t.Errorf("chat %d: %v", first+n, err)
				}
			} else if v != policy.Verdict(abi.BroadcastExceptSender) {
				t.Fatalf("chat %d: got %v", first+n, v)
			}
			most = max(most, r.(policy.FuelMeter).Fuel())
		}
		r.Release()
	}
	t.Logf("a decision uses at most %d units of fuel, %d%% of the default", most, most*100/wasm.DefaultLimits().Fuel)
	if lost > 0 {
		t.Errorf("%d of %d decisions were lost", lost, chats)
	}
}

// sentences returns that many bytes of words of 1–9 letters, of which some begin with a
// capital.
func sentences(random *rand.Rand, size int) string {
	text := make([]byte, 0, size+10)
	for len(text) < size {
		word := len(text)
		for range 1 + random.IntN(9) {
			text = append(text, byte('a'+random.IntN(26)))
		}
		if random.IntN(8) == 0 {
			text[word] -= 'a' - 'A'
		}
		text = append(text, ' ')
	}
	return string(text[:size])
}

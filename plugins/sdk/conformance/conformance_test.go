package conformance

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// Every example in every language answers what its table says, keeps to the ABI, and
// agrees with the other languages on what no table asks.
func TestExamples(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			e, err := Read(name)
			if err != nil {
				t.Fatal(err)
			}
			engine := newEngine(t)
			policies := map[string]*wasm.Policy{}
			for _, l := range languages {
				// To compile a guest in Go takes very long under the race detector, so that
				// the one example in which there is most to find stands for all.
				if raced && l.name == "go" && name != "single" {
					continue
				}
				t.Run(l.name, func(t *testing.T) {
					module := l.example(t, name)
					config := []byte(e.Loads[0].Configs[0])
					p, err := engine.Load(context.Background(), l.name, module, config)
					if err != nil {
						t.Fatal(err)
					}
					policies[l.name] = p
					complain(t, CheckExample(engine, e, module))
					if !raced || l.name != "go" {
						complain(t, Check(Subject{Module: module, Config: config}))
					}
				})
			}
			t.Run("agree", func(t *testing.T) { agree(t, e, policies) })
			for _, p := range policies {
				_ = p.Close()
			}
		})
	}
}

func newEngine(t *testing.T) *wasm.Engine {
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

func complain(t *testing.T, results []Result) {
	t.Helper()
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s (%s): %v", r.Check, r.Note, r.Err)
		}
	}
}

// agree asks the policies, by language, what comes of changing the table's questions
// at random.
func agree(t *testing.T, e *Example, policies map[string]*wasm.Policy) {
	if len(policies) < 2 {
		t.Skip("there is no second language to agree with")
	}
	questions := slices.Concat(e.Loads[0].Inspect, e.Loads[0].InspectBody)
	if len(questions) == 0 {
		return // all of it stands in the table
	}
	byIDs := policy.Verdict(abi.InspectHeader)
	if len(e.Loads[0].InspectBody) > 0 {
		byIDs = abi.InspectBodyOf
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 20_000 {
		a := ask{byIDs: byIDs, Question: changed(r, questions)}
		answers := map[string]wasm.Answer{}
		for language, p := range policies {
			answers[language] = a.of(p)
		}
		for language, got := range answers {
			for other, want := range answers {
				if !alike(got, want) {
					t.Fatalf("%v: %s says %v, %s says %v", a, language, said(got), other, said(want))
				}
			}
		}
	}
}

// changed returns one of the questions with another header and another body: parts
// of it, changed, or fields put before and behind.
func changed(r *rand.Rand, questions []Question) policy.Question {
	q := questions[r.IntN(len(questions))].Question
	command := pdu.Command{ID: pdu.ParseHeader(q.Header).Command}
	body := q.Body
	for len(body) > 4096 {
		body = questions[r.IntN(len(questions))].Body
	}
	body = bytes.Clone(body)
	switch r.IntN(4) {
	case 0:
		body = append(someMessage(r, 2), body...)
	case 1:
		body = append(body, someMessage(r, 2)...)
	case 2:
		body = body[:r.IntN(len(body)+1)]
	}
	for range r.IntN(3) {
		if len(body) > 0 {
			body[r.IntN(len(body))] ^= 1 << r.IntN(8)
		}
	}
	return someQuestion(r, command, body)
}

func TestReadVerdictReadsWhatIsPrinted(t *testing.T) {
	for _, v := range []policy.Verdict{
		0, abi.Log, abi.Consume, 3<<abi.ArgumentShift | abi.Handle, abi.Unicast, 7<<abi.ArgumentShift | abi.ToSession<<abi.SelectorShift | abi.Unicast,
		0xffffffff<<abi.ArgumentShift | abi.ToUser<<abi.SelectorShift | abi.Unicast | abi.NotSender,
		6<<abi.ArgumentShift | abi.ToFields<<abi.SelectorShift | abi.Unicast | abi.NotSender | abi.ElseBroadcast,
		abi.ToMaster<<abi.SelectorShift | abi.Unicast, abi.BroadcastExceptSender | abi.InspectBodyOf, abi.BroadcastAll | abi.InspectHeader | abi.Log, abi.Close,
	} {
		if got, err := readVerdict(v.String()); err != nil || got != v {
			t.Errorf("%v: got %v, %v", v, got, err)
		}
	}
	for _, text := range []string{"", ",", "drops", "handle", "handle nobody", "unicast", "unicast nobody", "unicast user", "unicast user x", "unicast fields 32", "drop, twice", "drop,log"} {
		if v, err := readVerdict(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, v)
		}
	}
}

func TestReadBody(t *testing.T) {
	for text, want := range map[string]string{"": "", "08 e907": "\x08\xe9\x07", "0102*2 03*0 04*3": "\x01\x02\x01\x02\x04\x04\x04"} {
		if got, err := readBody(text); err != nil || string(got) != want {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "0x", "00*", "00*-1", "00*x"} {
		if got, err := readBody(text); err == nil {
			t.Errorf("%q: got %x, want an error", text, got)
		}
	}
}

func TestReadKnowsItsExamples(t *testing.T) {
	if _, err := Read("tabel"); err == nil || err.Error() != `there is no example "tabel"; there are configured, limit, single, table` {
		t.Errorf("got %v", err)
	}
}

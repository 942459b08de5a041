//go:build full

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

// Every example in every language answers as its file in examples says, keeps to the ABI,
// and agrees with the other languages on random questions that are not in that file.
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
				// The engine compiles Go guests very slowly under the race detector, so only
				// the largest example is built in Go there.
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
					reportErrors(t, CheckExample(engine, e, module))
					if !raced || l.name != "go" {
						reportErrors(t, Check(Subject{Module: module, Config: config}))
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

func reportErrors(t *testing.T, results []Result) {
	t.Helper()
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s (%s): %v", r.Check, r.Note, r.Err)
		}
	}
}

// agree asks the policies, by language, random variants of the example's questions.
func agree(t *testing.T, e *Example, policies map[string]*wasm.Policy) {
	if len(policies) < 2 {
		t.Fatal("there is no second language to compare with")
	}
	questions := slices.Concat(e.Loads[0].Inspect, e.Loads[0].InspectBody)
	if len(questions) == 0 {
		return // classify decides everything
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
				if !sameAnswer(got, want) {
					t.Fatalf("%v: %s says %v, %s says %v", a, language, describe(got), other, describe(want))
				}
			}
		}
	}
}

// changed returns one of the questions with a random header and a changed body: cut off,
// with flipped bits, or with fields before or behind it.
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

package conformance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// A Subject is a policy under test.
type Subject struct {
	Module []byte
	Config []byte      // JSON for its configure; nil if there is none
	Log    wasm.Logger // receives the guest's log lines; nil discards them
}

// A Result is what one check found.
type Result struct {
	Check string
	Err   error  // nil if the policy passed; one line for each of the first problems
	Note  string // figures, whether the policy passed or not
}

// The checks build on each other: classify, inspect and inspect_body ask questions and remember them
// with their answers; pure, fuel and memory use what was asked.
//
//	load          the gates of the server
//	classify      every id of ten services, 655,360 calls
//	inspect       200 random headers for each command that is inspected
//	inspect_body  empty, random, damaged and expensive bodies
//	buffer        bodies of all sizes, up to 1 MiB and beyond what a buffer can hold
//	configure     malformed and extreme configurations
//	pure          all questions again, backwards, and by a fresh instance
//	fuel          which question took the most
//	memory        100,000 questions: the memory must not grow without end

// Check runs the checks that any policy must pass. If the policy does not load, that is
// the only result.
func Check(s Subject) []Result {
	c := &checker{subject: s}
	c.engine = wasm.NewEngine(wasm.DefaultLimits(), c.log)
	defer c.close()
	loaded := c.load()
	if loaded.Err != nil {
		return []Result{loaded}
	}
	results := []Result{loaded}
	for _, check := range []struct {
		name string
		run  func(*checker) (string, error)
	}{
		{"classify", (*checker).classify},
		{"inspect", (*checker).inspect},
		{"inspect_body", (*checker).inspectBody},
		{"buffer", (*checker).buffer},
		{"configure", (*checker).configure},
		{"pure", (*checker).pure},
		{"fuel", (*checker).fuel},
		{"memory", (*checker).memory},
	} {
		note, err := check.run(c)
		results = append(results, Result{Check: check.name, Note: note, Err: err})
	}
	return results
}

// A checker holds a loaded policy, the questions it was asked and its answers.
type checker struct {
	subject Subject
	engine  *wasm.Engine
	policy  *wasm.Policy
	muted   bool // drops the guest's log lines

	asked   []ask // by classify, inspect and inspectBody
	answers []wasm.Answer
}

// close frees the policy and the engine.
func (c *checker) close() {
	if c.policy != nil {
		_ = c.policy.Close()
	}
	_ = c.engine.Close()
}

// log passes on the guest's log lines.
func (c *checker) log(policy string, level int, text string) {
	if c.subject.Log != nil && !c.muted {
		c.subject.Log(policy, level, text)
	}
}

// load loads the module through the server's gates.
func (c *checker) load() Result {
	start := time.Now()
	p, err := c.loadWith(c.engine, c.subject.Config)
	if err != nil {
		return Result{Check: "load", Err: err}
	}
	took := time.Since(start)
	c.policy = p
	kind, _ := c.engine.Kind()
	return Result{Check: "load", Note: fmt.Sprintf("%d bytes, through all gates in %v (%s); exports %s",
		len(c.subject.Module), took.Round(10*time.Microsecond), kind, strings.Join(p.Exports(), ", "))}
}

func (c *checker) loadWith(e *wasm.Engine, config []byte) (*wasm.Policy, error) {
	return e.Load(context.Background(), "policy", c.subject.Module, config)
}

func (c *checker) exports(name string) bool { return slices.Contains(c.policy.Exports(), name) }

// An ask is a question as the server asks it. Without a header it calls classify.
type ask struct {
	policy.Question
	byIDs policy.Verdict
	ids   ids
}

// of asks p the question.
func (a ask) of(p *wasm.Policy) wasm.Answer {
	if a.Header == nil {
		return p.ExplainClassify(a.ids.service, a.ids.command)
	}
	return p.ExplainInspect(a.byIDs, a.Question)
}

// describe returns a verdict or a fault as text.
func describe(a wasm.Answer) string {
	if a.Fault != nil {
		return a.Fault.Error()
	}
	return a.Verdict.String()
}

// sameAnswer reports whether two answers have the same verdict, or both a fault.
func sameAnswer(a, b wasm.Answer) bool {
	return a.Verdict == b.Verdict && (a.Fault == nil) == (b.Fault == nil)
}

// String shows the question so that it can be repeated, with the start of a long body.
func (a ask) String() string {
	const shown = 40
	switch text := fmt.Sprintf("header %x, session %d, attributes %#x", a.Header, a.Session, a.Attributes); {
	case a.Header == nil:
		return fmt.Sprintf("classify(%v, %v)", a.ids.service, a.ids.command)
	case a.byIDs.Has(abi.InspectHeader):
		return text
	case len(a.Body) > shown:
		return fmt.Sprintf("%s, body of %d bytes %x…", text, len(a.Body), a.Body[:shown])
	default:
		return fmt.Sprintf("%s, body %q of %d bytes", text, fmt.Sprintf("%x", a.Body), len(a.Body))
	}
}

// ask asks a question and remembers it and its answer. It returns the fault, except for a
// body that the guest refuses as too large, which it may do.
func (c *checker) ask(a ask) error {
	got := a.of(c.policy)
	c.asked = append(c.asked, a)
	c.answers = append(c.answers, got)
	if got.Fault == nil || got.Fault.Kind == policy.FaultBody {
		return nil
	}
	return fmt.Errorf("%v: %w", a, got.Fault)
}

// compare asks p all questions again, in that order, and returns the differences.
func (c *checker) compare(p *wasm.Policy, questions iter.Seq2[int, ask]) (all problems) {
	for i, a := range questions {
		if got := a.of(p); !sameAnswer(got, c.answers[i]) {
			all.add("%v: %s, but before %s", a, describe(got), describe(c.answers[i]))
		}
	}
	return all
}

// problems are collected and returned as one error.
type problems []string

func (c *problems) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

func (c *problems) addErr(err error) {
	if err != nil {
		*c = append(*c, err.Error())
	}
}

// err returns the first few problems and the number of the others, or nil. Only the first
// keeps the trace of a trap.
func (c problems) err() error {
	const shown = 5
	if len(c) == 0 {
		return nil
	}
	text := c[0]
	for _, line := range c[1:min(len(c), shown)] {
		line, _, _ = strings.Cut(line, "\n")
		text += "\n" + line
	}
	if len(c) > shown {
		text += fmt.Sprintf("\nand %d more", len(c)-shown)
	}
	return errors.New(text)
}

// Package conformance checks a compiled policy from outside: whether it keeps to
// version 1 of the policy ABI, and whether a module built from one of the examples
// decides as those of the other languages do. It runs policies on the server's own
// engine; it builds none and opens no files.
package conformance

import (
	"embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
)

//go:embed examples/*.toml
var files embed.FS

// Names returns the names of the examples.
func Names() []string {
	entries, err := files.ReadDir("examples")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	return names
}

// An Example lists how a policy of that name must decide.
type Example struct {
	Name    string
	Refuses []string // configurations
	Loads   []Load
}

// A Load lists how the policy must decide under each of some configurations.
type Load struct {
	Configs     []string // "" stands for none
	Classify    map[pdu.CommandID]policy.Verdict
	Else        policy.Verdict // of all other ids
	Inspect     []Question
	InspectBody []Question
}

// A Question is about one PDU; Want is the verdict that the policy must return.
type Question struct {
	Name string
	policy.Question
	Want policy.Verdict
}

// written is an example's file as it is decoded.
type written struct {
	Refuses []string
	Load    []struct {
		Configs     []string
		Classify    map[string]string
		Inspect     []writtenQuestion
		InspectBody []writtenQuestion `toml:"inspect_body"`
	}
}

type writtenQuestion struct {
	Name, Command, Body, Verdict string
	Length                       *uint32
	Attributes                   uint64
	Session                      *uint64
}

// Read returns the example of that name.
func Read(name string) (*Example, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no example %q; the examples are %s", name, strings.Join(Names(), ", "))
	}
	file := path.Join("examples", name+".toml")
	text, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	e, err := parse(name, string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return e, nil
}

// parse reads an example's file. A load without configurations stands for one without any.
func parse(name, text string) (*Example, error) {
	var w written
	meta, err := toml.Decode(text, &w)
	if err != nil {
		return nil, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown key %v", unknown[0])
	}
	e := &Example{Name: name, Refuses: w.Refuses}
	for _, from := range w.Load {
		l := Load{Configs: from.Configs, Classify: map[pdu.CommandID]policy.Verdict{}}
		if len(l.Configs) == 0 {
			l.Configs = []string{""}
		}
		if err := l.readClassify(from.Classify); err != nil {
			return nil, err
		}
		if l.Inspect, err = readQuestions(from.Inspect); err != nil {
			return nil, err
		}
		if l.InspectBody, err = readQuestions(from.InspectBody); err != nil {
			return nil, err
		}
		e.Loads = append(e.Loads, l)
	}
	return e, nil
}

// readClassify reads the verdicts by command, and that of all other commands.
func (l *Load) readClassify(rules map[string]string) error {
	for key, text := range rules {
		v, problem := policy.ParseVerdict(text)
		if problem != nil {
			return problem
		}
		if key == "else" {
			l.Else = v
			continue
		}
		id, problem := command.ID(key)
		if problem != nil {
			return problem
		}
		l.Classify[id] = v
	}
	return nil
}

func readQuestions(from []writtenQuestion) ([]Question, error) {
	var questions []Question
	for _, w := range from {
		q, err := w.read()
		if err != nil {
			return nil, fmt.Errorf("question %q: %w", w.Name, err)
		}
		questions = append(questions, q)
	}
	return questions, nil
}

// read converts a question of a file. The length is that of the body and the header unless the file
// says otherwise, and the session is 1.
func (w *writtenQuestion) read() (Question, error) {
	q := Question{Name: w.Name}
	var problem *command.Problem
	if q.Want, problem = policy.ParseVerdict(w.Verdict); problem != nil {
		return q, problem
	}
	id, problem := command.ID(w.Command)
	if problem != nil {
		return q, problem
	}
	var err error
	if q.Body, err = readBody(w.Body); err != nil {
		return q, err
	}
	length := uint32(pdu.HeaderLen + len(q.Body))
	if w.Length != nil {
		length = *w.Length
	}
	q.Header, q.Attributes, q.Session = header(length, id, 0), w.Attributes, 1
	if w.Session != nil {
		q.Session = *w.Session
	}
	return q, nil
}

// header returns a header with this length and command. Each other byte is rest.
func header(length uint32, command pdu.CommandID, rest byte) []byte {
	h := slices.Repeat([]byte{rest}, pdu.HeaderLen)
	binary.BigEndian.PutUint32(h, length)
	binary.BigEndian.PutUint16(h[10:], uint16(command))
	return h
}

// filled returns q with each byte of its header but the length and the command set to
// rest.
func (q Question) filled(rest byte) policy.Question {
	was := pdu.ParseHeader(q.Header)
	q.Header = header(was.Length, was.Command, rest)
	return q.Question
}

// readBody reads pieces of hex digits that are separated by blanks. "0102*3" repeats a
// piece three times.
func readBody(text string) ([]byte, error) {
	body := []byte{}
	for _, piece := range strings.Fields(text) {
		digits, times, repeated := strings.Cut(piece, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("%q in a body: %w", piece, err)
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil || n < 0 {
				return nil, fmt.Errorf("%q in a body is not repeated by a number", piece)
			}
		}
		body = append(body, slices.Repeat(b, n)...)
	}
	return body, nil
}

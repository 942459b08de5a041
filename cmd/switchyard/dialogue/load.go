package dialogue

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Load reads every dialogue of a directory, sorted by name: scripts from scenarios/*.json and
// recordings from golden/*.json, paired by the name in the files. Its error has all faults.
func Load(dir string) ([]Dialogue, error) {
	recordings, err := loadEach(filepath.Join(dir, "golden"), parseRecording)
	if err != nil {
		return nil, err
	}
	dialogues, err := loadEach(filepath.Join(dir, "scenarios"), parseScript)
	if err != nil {
		return nil, err
	}
	return pair(dialogues, recordings)
}

// loadEach parses each *.json of a directory. The error has the faults of all files.
func loadEach[T any](dir string, parse func([]byte) (T, error)) ([]T, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no *.json in %s: expected one file per dialogue", dir)
	}
	var all []T
	var faults []error
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read dialogue: %w", err)
		}
		parsed, err := parse(b)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", file, err))
		}
		all = append(all, parsed)
	}
	return all, errors.Join(faults...)
}

// A recording is the file of a transcript.
type recording struct {
	Transcript
	Exited bool   `json:"server_exited"` // the recorded server did not survive
	Error  string `json:"error"`         // why the recorder did not finish
}

func parseRecording(b []byte) (Transcript, error) {
	var r recording
	if err := strictly(b, &r); err != nil {
		return Transcript{}, err
	}
	switch {
	case r.Name == "":
		return Transcript{}, errors.New("recording without a scenario's name")
	case r.Exited || r.Error != "":
		return Transcript{}, fmt.Errorf("recording of %s was cut short (server exited: %t, error: %q): nothing to compare with", r.Name, r.Exited, r.Error)
	}
	return r.Transcript, nil
}

// A script is the file of a dialogue:
//
//	{"name": "chat", "doc": "a chat goes to all others", "steps": [
//	  {"op": "open", "conn": "A"},
//	  {"op": "open", "conn": "B"},
//	  {"op": "settle"},
//	  {"op": "send", "conn": "A", "hex": "00000015…"},
//	  {"op": "settle"}]}
type script struct {
	Name   string       `json:"name"`
	Doc    string       `json:"doc"`
	Settle string       `json:"settle"` // "quiet" or nothing
	Steps  []scriptStep `json:"steps"`
}

type scriptStep struct {
	Op    op     `json:"op"`
	Conn  string `json:"conn"`
	Hex   string `json:"hex"`
	Parts []part `json:"parts"` // after Hex
	Chunk int    `json:"chunk"`
	GapUS int    `json:"gap_us"` // between chunks
	MS    int    `json:"ms"`     // of a wait
	Note  string `json:"note"`   // informative
}

// A part is the bytes of Hex, followed by Count bytes of repeated Fill.
type part struct {
	Hex   string `json:"hex"`
	Fill  string `json:"fill"`
	Count int    `json:"count"`
}

func parseScript(b []byte) (Dialogue, error) {
	var s script
	if err := strictly(b, &s); err != nil {
		return Dialogue{}, err
	}
	switch {
	case s.Name == "":
		return Dialogue{}, errors.New("script without a name")
	case s.Settle != "" && s.Settle != "quiet":
		return Dialogue{}, fmt.Errorf("settle is %q: it is \"quiet\" or left out", s.Settle)
	}
	d := Dialogue{Name: s.Name, Doc: s.Doc, quiet: s.Settle == "quiet"}
	opened := map[string]bool{}
	for i, raw := range s.Steps {
		st, err := raw.parse(opened)
		if err != nil {
			return Dialogue{}, fmt.Errorf("step %d: %w", i, err)
		}
		d.steps = append(d.steps, st)
	}
	return d, nil
}

// parse checks a step against the connections opened before it, so that only the server can
// make it fail.
func (s scriptStep) parse(opened map[string]bool) (step, error) {
	st := step{op: s.Op, conn: s.Conn, chunk: s.Chunk, gap: time.Duration(s.GapUS) * time.Microsecond}
	switch s.Op {
	case opOpen:
		if s.Conn == "" || opened[s.Conn] {
			return step{}, fmt.Errorf("open %q: every connection needs a name of its own", s.Conn)
		}
		opened[s.Conn] = true
	case opSettle:
	case opWait:
		st.gap = time.Duration(s.MS) * time.Millisecond
	case opSend, opClose, opHalfClose, opExpectClosed:
		if !opened[s.Conn] {
			return step{}, fmt.Errorf("%s on connection %q, which was not opened", s.Op, s.Conn)
		}
	default:
		return step{}, fmt.Errorf("unknown op %q", s.Op)
	}
	if s.Chunk < 0 || s.GapUS < 0 || s.MS < 0 {
		return step{}, fmt.Errorf("%s: chunk, gap_us and ms cannot be negative", s.Op)
	}
	var err error
	st.data, err = s.bytes()
	return st, err
}

func (s scriptStep) bytes() ([]byte, error) {
	data, err := hex.DecodeString(s.Hex)
	if err != nil {
		return nil, fmt.Errorf("hex: %w", err)
	}
	for _, p := range s.Parts {
		b, err := p.bytes()
		if err != nil {
			return nil, err
		}
		data = append(data, b...)
	}
	return data, nil
}

func (p part) bytes() ([]byte, error) {
	b, err := hex.DecodeString(p.Hex)
	if err != nil {
		return nil, fmt.Errorf("hex of a part: %w", err)
	}
	fill, err := hex.DecodeString(p.Fill)
	if err != nil {
		return nil, fmt.Errorf("fill of a part: %w", err)
	}
	if p.Count < 0 || (p.Count > 0) != (len(fill) > 0) {
		return nil, fmt.Errorf("part with fill %q and count %d: both or none", p.Fill, p.Count)
	}
	if p.Count > 0 {
		b = append(b, bytes.Repeat(fill, p.Count/len(fill)+1)[:p.Count]...)
	}
	return b, nil
}

// strictly decodes JSON and refuses unknown fields, as they may describe something that this
// package would not play.
func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// pair gives every dialogue its recording.
func pair(dialogues []Dialogue, recordings []Transcript) ([]Dialogue, error) {
	recorded := map[string]Transcript{}
	var faults []error
	for _, r := range recordings {
		if _, twice := recorded[r.Name]; twice {
			faults = append(faults, fmt.Errorf("two recordings of %s", r.Name))
		}
		recorded[r.Name] = r
	}
	for i, d := range dialogues {
		want, ok := recorded[d.Name]
		if !ok {
			faults = append(faults, fmt.Errorf("script %s has no recording, or is there twice", d.Name))
		}
		delete(recorded, d.Name)
		dialogues[i].Want = want
	}
	for name := range recorded {
		faults = append(faults, fmt.Errorf("recording %s has no script", name))
	}
	slices.SortFunc(dialogues, func(a, b Dialogue) int { return strings.Compare(a.Name, b.Name) })
	return dialogues, errors.Join(faults...)
}

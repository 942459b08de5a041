package tap

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/sanitize"
)

// A printer prints the entries of a queue. It is for one goroutine. A line for people, and the same
// PDU with --json as the server has sent it:
//
//	08:31:07.120  default   session 4      CID_MSG_DATA     25 bytes  seq 9      broadcast-all  {…}
//	{"kind":"pdu","time":"…","tenant":"default","session":4,"command":"CID_MSG_DATA",…}
type printer struct {
	options Options
	out     *bufio.Writer
	pdus    uint64 // printed
	missed  uint64
}

// print prints until the queue ends, Options.Count PDUs are printed, or writing fails. It
// flushes whenever the queue is empty.
func (p *printer) print(q *queue) error {
	for {
		entries, err := q.take()
		if err != nil {
			return err
		}
		for i := range entries {
			if err := p.entry(&entries[i]); err != nil {
				return err
			}
			if p.options.Count > 0 && p.pdus >= p.options.Count {
				return cmp.Or(p.flush(), errCount)
			}
			entries[i] = entry{} // frees its memory while the others are written
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
}

// flush writes what is buffered. The error is a *WriteError.
func (p *printer) flush() error {
	if err := p.out.Flush(); err != nil {
		return &WriteError{err}
	}
	return nil
}

// entry prints one entry, and counts it.
func (p *printer) entry(e *entry) (err error) {
	var text string
	if e.line == nil {
		p.missed += e.missed
		text, err = p.missedLine(e)
	} else {
		p.pdus++
		text, err = p.pduLine(e.line)
	}
	if err != nil {
		return err
	}
	// A peer controls parts of the text, and the terminal must not obey it.
	if _, err := p.out.WriteString(sanitize.Text(text) + "\n"); err != nil {
		return &WriteError{err}
	}
	return nil
}

// A missed is the line of JSON in place of the PDUs that were missed.
type missed struct {
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Missed uint64    `json:"missed"` // since the last such line
}

// missedLine formats the line in place of PDUs that were missed.
func (p *printer) missedLine(e *entry) (string, error) {
	if p.options.JSON {
		text, err := json.Marshal(missed{"missed", e.time, e.missed})
		return string(text), err
	}
	return fmt.Sprintf("%s  %d PDUs missed: what reads this, or the way here, is too slow; ask for fewer by --command or --tenant", clock(e.time), e.missed), nil
}

// pduLine formats a PDU.
func (p *printer) pduLine(l *client.TapLine) (string, error) {
	if p.options.JSON {
		return compact(l.Text)
	}
	verdict := l.Verdict
	if l.Fault != "" {
		verdict += " (fault: " + l.Fault + ")"
	}
	text := fmt.Sprintf("%s  %-8s  session %-5d  %-30s  %6d bytes  seq %-5d  %s", clock(l.Time), l.Tenant, l.Session, l.Command, l.Length, valueOf(l.Seq), verdict)
	body := ""
	switch {
	case len(l.Body) > 0:
		var err error
		if body, err = compact(l.Body); err != nil {
			return "", err
		}
	case l.Hex != "":
		body = "hex " + l.Hex
	}
	if body != "" && l.Cut {
		body += "..."
	}
	return strings.TrimRight(text+"  "+body, " "), nil
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// valueOf returns what p points to, or the zero value: some fields are missing in some kinds of
// lines.
func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// compact removes the white space outside of strings.
func compact(text []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", fmt.Errorf("a line of the tap: %w", err)
	}
	return b.String(), nil
}

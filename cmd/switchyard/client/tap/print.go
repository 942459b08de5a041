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

// A printer prints what is in a queue. It is one goroutine's.
type printer struct {
	options Options
	out     *bufio.Writer
	pdus    uint64 // printed
	missed  uint64
}

// print prints until the queue ends, as many are printed as were asked for, or out takes
// no more. What there is is written before it waits for more.
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
			entries[i] = entry{} // its memory is free, whatever the others take to be written
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
}

func (p *printer) flush() error {
	if err := p.out.Flush(); err != nil {
		return &WriteError{err}
	}
	return nil
}

func (p *printer) entry(e *entry) (err error) {
	var text string
	if e.line == nil {
		p.missed += e.missed
		text, err = p.missing(e)
	} else {
		p.pdus++
		text, err = p.line(e.line)
	}
	if err != nil {
		return err
	}
	// Whatever it is, the terminal shows it and does not obey it.
	if _, err := p.out.WriteString(sanitize.Text(text) + "\n"); err != nil {
		return &WriteError{err}
	}
	return nil
}

// A missing is the line of JSON in the place of PDUs that were missed.
type missing struct {
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Missed uint64    `json:"missed"` // since the last such line
}

func (p *printer) missing(e *entry) (string, error) {
	if p.options.JSON {
		text, err := json.Marshal(missing{"missed", e.time, e.missed})
		return string(text), err
	}
	return fmt.Sprintf("%s  %d PDUs missed: what reads this, or the way here, is too slow; ask for fewer by --command or --tenant", clock(e.time), e.missed), nil
}

// line spells a PDU.
func (p *printer) line(l *client.TapLine) (string, error) {
	if p.options.JSON {
		return compact(l.Text)
	}
	verdict := l.Verdict
	if l.Fault != "" {
		verdict += " (fault: " + l.Fault + ")"
	}
	text := fmt.Sprintf("%s  %-8s  session %-5d  %-30s  %6d bytes  seq %-5d  %s", clock(l.Time), l.Tenant, l.Session, l.Command, l.Length, l.Seq, verdict)
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

// compact spells JSON without blanks between its parts, so that what is left of such are
// in strings.
func compact(text []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", fmt.Errorf("a line of the tap: %w", err)
	}
	return b.String(), nil
}

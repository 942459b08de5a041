package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/sanitize"
)

// A sentLine is the line of JSON for a PDU that was sent or received. Its names do not change, and
// are those of a line of tap where they mean the same.
type sentLine struct {
	Kind    string          `json:"kind"` // sent or received
	Time    time.Time       `json:"time"`
	Service string          `json:"service"`
	Command string          `json:"command"`
	ID      uint16          `json:"id"`     // of the command
	Length  uint32          `json:"length"` // in bytes, header included
	Seq     uint16          `json:"seq"`
	Body    json.RawMessage `json:"body,omitempty"`
	Hex     string          `json:"hex,omitempty"` // a body that is not a message of the command
}

// print prints a PDU in one line. Another peer controls what is received, and the terminal must not
// obey it. A body that is not a message of its command is printed as hex digits, so that nothing is
// hidden.
func (s *sendOptions) print(w io.Writer, kind string, p []byte) error {
	h, body := pdu.ParseHeader(p), p[pdu.HeaderLen:]
	l := sentLine{Kind: kind, Time: time.Now(), Service: h.Service.String(), Command: h.Command.String(), ID: uint16(h.Command), Length: h.Length, Seq: h.Seq}
	if l.Body = message.JSON(h.Command, body); l.Body == nil && len(body) > 0 {
		l.Hex = fmt.Sprintf("%x", body)
	}
	text, err := l.text()
	if s.asJSON {
		var b []byte
		b, err = json.Marshal(l)
		text = string(b)
	}
	if err != nil {
		return fmt.Errorf("print a PDU: %w", err)
	}
	if _, err := fmt.Fprintln(w, sanitize.Text(text)); err != nil {
		return fmt.Errorf("print a PDU: %w", err)
	}
	return nil
}

// text returns the line for people:
//
//	08:31:07.120  received  CID_MSG_DATA                        25 bytes  seq 9      {"from_user_id":1}
func (l *sentLine) text() (string, error) {
	var body bytes.Buffer
	switch {
	case l.Hex != "":
		body.WriteString("hex " + l.Hex)
	case l.Body != nil:
		if err := json.Compact(&body, l.Body); err != nil {
			return "", err
		}
	}
	text := fmt.Sprintf("%s  %-8s  %-30s  %6d bytes  seq %-5d  %s", l.Time.Format("15:04:05.000"), l.Kind, l.Command, l.Length, l.Seq, body.String())
	return strings.TrimRight(text, " "), nil
}

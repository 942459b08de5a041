package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestNextNATS(t *testing.T) {
	for _, c := range []struct {
		in      string
		kind    NATSKind
		n       int
		payload string
		err     string
	}{
		{in: ""},
		{in: "PING"},
		{in: "PING\r"},
		{in: "PING\r\nPONG\r\n", kind: NATSPing, n: 6},
		{in: "PONG\r\n", kind: NATSOther, n: 6},
		{in: "+OK\r\n", kind: NATSOther, n: 5},
		{in: `INFO {"max_payload":1048576}` + "\r\n", kind: NATSOther, n: 30},
		{in: "MSG hub 1 5\r\nhello\r\n", kind: NATSMsg, n: 20, payload: "hello"},
		{in: "MSG hub 1 reply.to 5\r\nhello\r\nMSG", kind: NATSMsg, n: 29, payload: "hello"},
		{in: "MSG  hub\t1   0\r\n\r\n", kind: NATSMsg, n: 18},
		{in: "MSG hub 1 5\r\nhello"},
		{in: "MSG hub 1 5\r\nhello\r"},
		{in: "MSG hub 1 2\r\n\r\n\r\n", kind: NATSMsg, n: 17, payload: "\r\n"},
		{in: "MSG hub 1 5\r\nhello, you\r\n", err: "does not end"},
		{in: "MSG hub 5\r\n", err: "size"},
		{in: "MSG hub 1 -5\r\n", err: "size"},
		{in: "MSG hub 1 9999999999\r\n", err: "size"},
		{in: "MSG hub 1 1048577\r\n", err: "size"},
		{in: "MSG\r\n", err: "size"},
		{in: "-ERR 'Slow Consumer'\r\n", err: "Slow Consumer"},
		{in: "HELLO\r\n", err: "not an operation"},
		{in: "\r\n", err: "not an operation"},
		{in: strings.Repeat("x", natsMaxLine), err: "longer than"},
		{in: "INFO " + strings.Repeat("x", natsMaxLine) + "\r\n", err: "longer than"},
	} {
		op, n, err := NextNATS([]byte(c.in))
		name := fmt.Sprintf("%.30q", c.in)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || n != 0 {
				t.Errorf("%s: %d bytes, error %v; want none and one with %q", name, n, err, c.err)
			}
			continue
		}
		if err != nil || n != c.n || op.Kind != c.kind || string(op.Payload) != c.payload {
			t.Errorf("%s: kind %d, %d bytes, payload %q, error %v; want kind %d, %d bytes, payload %q", name, op.Kind, n, op.Payload, err, c.kind, c.n, c.payload)
		}
	}
}

// The operations, and the error that ends them, do not depend on where the input is split.
func FuzzNextNATS(f *testing.F) {
	f.Add([]byte("INFO {}\r\nPING\r\nMSG hub 1 5\r\nhello\r\n+OK\r\nMSG hub 1 a.b 3\r\nxyz\r\n"), 9)
	f.Add([]byte("MSG hub 1 5\r\nhello!\r\n"), 13)
	f.Add([]byte("-ERR 'no'\r\n"), 3)
	f.Add([]byte("MSG hub 1 123456789012\r\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole, wholeErr := natsOperations(t, b, len(b))
		split, splitErr := natsOperations(t, b, min(max(cut, 0), len(b)))
		if strings.Join(whole, "\n") != strings.Join(split, "\n") || fmt.Sprint(wholeErr) != fmt.Sprint(splitErr) {
			t.Errorf("at once:\n%q, %v\ncut at %d:\n%q, %v", whole, wholeErr, cut, split, splitErr)
		}
	})
}

// natsOperations parses b, which arrives in two pieces split at cut.
func natsOperations(t *testing.T, b []byte, cut int) (ops []string, err error) {
	at := 0
	for _, end := range []int{cut, len(b)} {
		for {
			op, n, err := NextNATS(b[at:end])
			if err != nil {
				return ops, err
			}
			if n < 0 || n > end-at {
				t.Fatalf("an operation of %d bytes in %d", n, end-at)
			}
			if n == 0 {
				break
			}
			ops = append(ops, fmt.Sprintf("%d %q %q", op.Kind, op.Line, op.Payload))
			at += n
		}
	}
	return ops, nil
}

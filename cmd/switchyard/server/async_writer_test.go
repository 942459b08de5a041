package server

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A gated writer writes when it is let.
type gated struct {
	bytes.Buffer
	gate    chan struct{}
	writing chan struct{}
}

func (g *gated) Write(p []byte) (int, error) {
	g.writing <- struct{}{}
	<-g.gate
	return g.Buffer.Write(p)
}

func TestSpool(t *testing.T) {
	t.Parallel()
	out := &gated{gate: make(chan struct{}), writing: make(chan struct{}, 1000)}
	s := newSpool(out)
	var lost atomic.Int64
	s.start(func(lines int) { lost.Add(int64(lines)) })
	io.WriteString(s, "first\n")
	<-out.writing
	line := strings.Repeat("x", 1023) + "\n"
	for range 3 * maxSpooled / len(line) {
		if n, err := io.WriteString(s, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	close(out.gate)
	io.WriteString(s, "last\n")
	s.close()
	text := out.String()
	kept := int64(strings.Count(text, line))
	if !strings.HasPrefix(text, "first\nx") || kept != maxSpooled/int64(len(line)) {
		t.Errorf("%d lines were written of what there is room for", kept)
	}
	if all := kept + lost.Load(); all < 3*maxSpooled/int64(len(line)) {
		t.Errorf("%d lines were written and %d lost", kept, lost.Load())
	}
	io.WriteString(s, "nobody")
	if strings.Contains(out.String(), "nobody") {
		t.Error("written after it was closed")
	}
}

// A process that ends does not wait for ever for its log to be taken.
func TestSpoolOfNobody(t *testing.T) {
	t.Parallel()
	out := &gated{gate: make(chan struct{}), writing: make(chan struct{}, 1)}
	s := newSpool(out)
	s.start(func(int) {})
	io.WriteString(s, "line\n")
	start := time.Now()
	s.close()
	if took := time.Since(start); took < spoolTime || took > spoolTime+20*time.Second {
		t.Errorf("closing took %v", took)
	}
	close(out.gate)
	<-s.done
}

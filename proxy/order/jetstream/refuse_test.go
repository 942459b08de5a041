package jetstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// A stream that answers and refuses records is reported with the cause, once until a record comes.
func TestRecordsRefused(t *testing.T) {
	b := startFake(t)
	times := short
	times.answer = 20 * time.Millisecond
	l := begun(t, b, times)
	said, stop := make(chan struct{}), make(chan struct{})
	go func() { // as an outbox does that says a record again and again
		defer close(said)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				l.Append([]byte("a"))
			}
		}
	}()
	defer func() { close(stop); <-said }()

	for {
		b.refuses(`{"code":503,"err_code":10023,"description":"insufficient resources"}`)
		e := event(t, l, order.Unreached)
		text := fmt.Sprint(e.Err)
		if strings.Contains(text, "insufficient resources") && strings.Contains(text, "have no room") {
			break
		}
		if !strings.Contains(text, "no answer") { // of a machine so busy that an answer takes 20 ms
			t.Fatalf("the cause is %v", e.Err)
		}
		b.refuses("")
		event(t, l, order.Reached)
	}
	for asked := b.count("STREAM.INFO"); b.count("STREAM.INFO") < asked+5; { // which answer
		select {
		case e := <-l.Events():
			t.Fatalf("event %v: %v while nothing changes", e.Kind, e.Err)
		case <-time.After(time.Millisecond):
		}
	}
	b.refuses("")
	event(t, l, order.Reached)
	if e := event(t, l, order.Recorded); string(e.Entry.Record) != "a" {
		t.Errorf("read %q", e.Entry.Record)
	}
}

// refuses sets the error, as JSON, with which records are refused.
func (b *fakeBus) refuses(err string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

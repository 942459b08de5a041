package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// Begin starts reading at the end of the log, and ends an earlier reading. It creates the
// stream if it is missing. What heals by waiting is tried again until ctx ends; the error is
// then that of the last attempt that ctx did not cut short. What an operator has to mend is
// returned at once.
//
// head is the end of the log: all records behind it will be reported as events. last has the
// last record of each hub's subject that the log still keeps, oldest first. Some may be
// behind head, and will be reported again.
func (l *Log) Begin(ctx context.Context) (last []order.Entry, head order.Position, err error) {
	l.stopReading()
	err = l.retry(ctx, func() error {
		last, head, err = l.begin(ctx, nil)
		return err
	})
	return last, head, err
}

// Continue is Begin for a process that continues behind the entry that another one has read last. What
// is in the log behind that entry is reported as well, or FellOut if the log no longer has it. The
// entry's time is zero if it is not known.
func (l *Log) Continue(ctx context.Context, last order.Entry) error {
	l.stopReading()
	return l.retry(ctx, func() error {
		_, _, err := l.begin(ctx, &last)
		return err
	})
}

// retry tries again what heals by waiting, as Begin says. The caller's goroutine waits meanwhile.
func (l *Log) retry(ctx context.Context, try func() error) error {
	var cause error
	for {
		err := try()
		if err == nil || errors.As(err, &permanentError{}) {
			return err
		}
		if cause == nil || ctx.Err() == nil { // an attempt that was cut short does not show the fault
			cause = err
		}
		select {
		case <-time.After(l.times.retry):
		case <-ctx.Done():
			return cause
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
	}
}

// begin is one attempt to begin, behind the entry that was read last if there is one:
//
//	a connection that lives ─▶ subscribe ─▶ find or create the stream ─▶ the last record of each hub
//	                              │                                          ─▶ start the reader
//	                              └ from here on the client keeps what comes
//
// After an error nothing of it is left.
func (l *Log) begin(ctx context.Context, read *order.Entry) (_ []order.Entry, _ order.Position, err error) {
	k := l.connection.Load()
	if k.conn.IsClosed() { // the client library gives up after some faults of the protocol
		renewed, err := l.connect()
		if err != nil {
			return nil, order.Position{}, err
		}
		k.close()
		l.counts.reconnects.Add(1)
		k = renewed
		l.connection.Store(k)
	}
	if !k.conn.IsConnected() {
		return nil, order.Position{}, l.unreached()
	}
	// Subscribed first, so that no record can fall between what is read here and the events.
	sub, err := k.subscribe(l.settings.out("*"))
	if err != nil {
		return nil, order.Position{}, err
	}
	defer func() {
		if err != nil {
			_ = sub.Unsubscribe() // fails only if the connection is gone
		}
	}()
	if err := l.flush(ctx, k); err != nil {
		return nil, order.Position{}, l.explain(k, "subscribe to "+sub.Subject, err)
	}
	// A missing permission shows in the next message. A record that this takes is not lost: it
	// is before head, or is read again.
	if _, err := sub.NextMsg(time.Nanosecond); errors.Is(err, nats.ErrPermissionViolation) {
		return nil, order.Position{}, l.explain(k, "subscribe to "+sub.Subject, err)
	}
	info, err := l.find(ctx, k)
	if err != nil {
		return nil, order.Position{}, err
	}
	head := order.Position{Epoch: info.Created.UnixNano(), Sequence: info.State.LastSeq}
	if read != nil {
		r := newReader(l, k, sub, read.Position)
		r.previous, r.doubt, r.upto = read.At, true, head.Sequence
		return nil, head, l.start(r)
	}
	last, err := l.lasts(ctx, k, info)
	if err != nil {
		return nil, order.Position{}, err
	}
	r := newReader(l, k, sub, head)
	if i := slices.IndexFunc(last, func(e order.Entry) bool { return e.Position == head }); i >= 0 {
		r.previous = last[i].At
	}
	return last, head, l.start(r)
}

// start starts a reader. It is known before, as its first event may make the caller Begin again.
func (l *Log) start(r *reader) error {
	l.reader = r
	l.counts.sub.Store(r.sub)
	err := r.start()
	if err != nil {
		l.reader = nil
	}
	return err
}

// lasts returns the last record of each hub's subject, as the stream's leader knows them. What
// somebody has published to other subjects of the stream is not a hub's.
func (l *Log) lasts(ctx context.Context, k *connection, info *nats.StreamInfo) ([]order.Entry, error) {
	var last []order.Entry
	for subject := range info.State.Subjects {
		if !l.settings.isOfHub(subject) {
			continue
		}
		m, err := l.last(ctx, k, subject)
		if errors.Is(err, nats.ErrMsgNotFound) {
			continue // it fell out of the ring meanwhile
		}
		if err != nil {
			return nil, l.explain(k, fmt.Sprintf("get the last record of %s", subject), err)
		}
		last = append(last, order.Entry{Position: order.Position{Epoch: info.Created.UnixNano(), Sequence: m.Sequence}, At: m.Time, Record: m.Data})
	}
	slices.SortFunc(last, func(a, b order.Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return last, nil
}

// isOfHub reports whether a hub publishes to the subject.
func (s Settings) isOfHub(subject string) bool {
	hub, err := strconv.ParseUint(strings.TrimPrefix(subject, s.in("")), 10, 16)
	return err == nil && subject == s.in(strconv.FormatUint(hub, 10))
}

// last returns the last record of a subject.
func (l *Log) last(ctx context.Context, k *connection, subject string) (*nats.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	return k.js.GetLastMsg(l.settings.stream(), subject, nats.Context(ctx))
}

// stopReading ends the reading that is under way, if any, and waits for its end.
func (l *Log) stopReading() {
	if l.reader != nil {
		l.reader.stop()
		l.reader = nil
	}
}

package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// A reader reports the records of the stream in order, each once:
//
//	message     number is next          report it
//	            number is above next    get what is missing, then report it
//	            number is below next    a late copy of what was got by direct get; or the stream
//	                                    lost what it held and began again, so ask
//	quiet       ask the stream          its last number shows a lost tail, its creation time
//	                                    another stream; if this lasts, see refusals
//	reconnect   doubt                   before anything is reported, the last reported record is
//	                                    got again: the same time means the same stream
type reader struct {
	log        *Log
	connection *connection
	sub        *nats.Subscription
	ctx        context.Context // ends with stop
	cancel     context.CancelFunc
	done       chan struct{} // closed when run has ended

	// Owned by run.

	epoch    int64
	next     uint64    // the number of the record that is to be reported next
	previous time.Time // the time of the record before it; zero if it is not known
	doubt    bool      // the stream may be another one, or have another content
	upto     uint64    // what there is to be read at the start, up to this number; 0: nothing
	copies   int       // messages that were queued when the stream was last found to be the same
	dials    uint64    // of the connection, as of the last look
	question
	refusals
	since time.Time // when the stream began not to answer, or to refuse records; zero if it works
	lost  bool      // Unreached was reported
}

// A question is one that the stream was asked and has not answered.
type question struct {
	answers *nats.Subscription
	asked   time.Time // zero if nothing is asked
	behind  uint64    // next when it was asked
}

func newReader(l *Log, k *connection, sub *nats.Subscription, head order.Position) *reader {
	return &reader{log: l, connection: k, sub: sub, done: make(chan struct{}), epoch: head.Epoch, next: head.Sequence + 1, dials: k.dialer.dials.Load()}
}

// start starts run.
func (r *reader) start() (err error) {
	if r.answers, err = r.connection.subscribe(r.connection.conn.NewInbox()); err != nil {
		return err
	}
	if r.receipts, err = r.connection.subscribe(r.connection.conn.NewInbox()); err != nil {
		_ = r.answers.Unsubscribe() // fails only if the connection is gone
		return err
	}
	r.log.counts.next.Store(r.next)
	r.log.counts.end.Store(r.next)
	r.ctx, r.cancel = context.WithCancel(r.log.ctx)
	go r.run()
	return nil
}

// stop ends run and waits for it.
func (r *reader) stop() {
	r.cancel()
	// Fails only if the connection is gone, with everything on it.
	_ = r.sub.Unsubscribe()
	_ = r.answers.Unsubscribe()
	_ = r.receipts.Unsubscribe()
	<-r.done
}

// run reports events until it is stopped or has fallen out.
func (r *reader) run() {
	defer close(r.done)
	if r.upto > 0 && !r.goesOn(r.catchUp(max(r.upto, r.next-1))) {
		return
	}
	for r.ctx.Err() == nil {
		wait := r.log.times.idle
		if !r.asked.IsZero() {
			wait = r.log.times.poll
		}
		m, err := r.sub.NextMsg(wait)
		switch {
		case err == nil:
			err = r.take(m)
		case errors.Is(err, nats.ErrTimeout):
			err = r.idle()
		case errors.Is(err, nats.ErrSlowConsumer):
			err = nil // the next message shows the gap
		case r.ctx.Err() == nil:
			err = fellOut{order.Disconnected, fmt.Errorf("the bus ended the subscription: %w", plain(err))}
		}
		if !r.goesOn(err) {
			return
		}
	}
}

// goesOn returns false, and reports why, if an error ends reading.
func (r *reader) goesOn(err error) bool {
	var out fellOut
	if !errors.As(err, &out) {
		return true
	}
	r.report(order.Event{Kind: order.FellOut, Reason: out.reason, Err: out.error})
	return false
}

// A fellOut error ends reading.
type fellOut struct {
	reason order.Reason
	error
}

// take handles a message that was republished. The usual case is the first one below: it has the number
// that is next, and nothing gives rise to doubt. Doubt begins when the connection may have been lost
// since, which a dial shows, or when the stream did not answer.
func (r *reader) take(m *nats.Msg) error {
	e, err := r.log.entry(m, r.epoch)
	if err != nil {
		return nil // somebody else publishes to the subject
	}
	r.asked = time.Time{} // the stream is at work; an answer that comes later is stale
	if n := r.connection.dialer.dials.Load(); n != r.dials {
		r.dials, r.doubt = n, true
	}
	late := r.copies > 0
	r.copies = max(r.copies-1, 0)
	switch {
	case !r.doubt && e.Sequence == r.next:
		return r.deliver(e)
	case !r.doubt && late && e.Sequence < r.next:
		return nil
	}
	if err := r.catchUp(e.Sequence - 1); err != nil {
		return err
	}
	if e.Sequence == r.next {
		return r.deliver(e)
	}
	return nil
}

// entry reads a record and its place in the stream from a message: the bus has put name, number and time
// into its headers. It fails for what somebody else has published to the subject.
func (l *Log) entry(m *nats.Msg, epoch int64) (order.Entry, error) {
	if name := m.Header.Get(nats.JSStream); name != l.settings.stream() {
		return order.Entry{}, fmt.Errorf("a message of stream %q", name)
	}
	sequence, err := strconv.ParseUint(m.Header.Get(nats.JSSequence), 10, 64)
	if err != nil || sequence == 0 {
		return order.Entry{}, fmt.Errorf("number %q of a record", m.Header.Get(nats.JSSequence))
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(nats.JSTimeStamp))
	if err != nil {
		return order.Entry{}, err
	}
	return order.Entry{Position: order.Position{Epoch: epoch, Sequence: sequence}, At: at, Record: m.Data}, nil
}

// deliver reports the record that is next.
func (r *reader) deliver(e order.Entry) error {
	r.silent, r.refused = time.Time{}, nil
	if err := r.answered(); err != nil {
		return err
	}
	r.next, r.previous = e.Sequence+1, e.At
	r.log.counts.next.Store(r.next)
	return r.report(order.Event{Kind: order.Recorded, Entry: e})
}

// report hands an event to the one who receives them.
func (r *reader) report(e order.Event) error {
	select {
	case r.log.events <- e:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// idle asks the stream for its last number, or looks for the answer. It does not wait, so
// that a record that comes meanwhile is reported at once.
func (r *reader) idle() error {
	if r.asked.IsZero() {
		return r.ask()
	}
	m, err := r.answers.NextMsg(time.Nanosecond)
	if err != nil {
		if time.Since(r.asked) < r.log.times.idle {
			return nil
		}
		r.asked = time.Time{}
		return r.unanswered(r.log.explain(r.connection, "ask for stream "+r.log.settings.stream(), nats.ErrTimeout))
	}
	r.asked = time.Time{}
	return r.answer(m)
}

// ask asks the stream's leader what the stream contains.
func (r *reader) ask() error {
	for { // answers to earlier questions
		if _, err := r.answers.NextMsg(time.Nanosecond); err != nil {
			break
		}
	}
	err := r.connection.conn.PublishRequest("$JS.API.STREAM.INFO."+r.log.settings.stream(), r.answers.Subject, nil)
	if err != nil {
		return r.unanswered(r.log.unreached())
	}
	r.asked, r.behind = time.Now(), r.next
	r.askReceipt()
	return nil
}

// answer compares what the stream says with what was reported. Whatever does not fit is
// looked into by catchUp.
func (r *reader) answer(m *nats.Msg) error {
	var info struct {
		Error *nats.APIError
		nats.StreamInfo
	}
	err := json.Unmarshal(m.Data, &info)
	switch {
	case m.Header.Get("Status") == "503":
		err = nats.ErrNoResponders
	case err == nil && info.Error != nil && info.Error.ErrorCode != nats.JSErrCodeStreamNotFound:
		err = info.Error
	}
	switch {
	case err != nil:
		return r.unanswered(r.log.explain(r.connection, "ask for stream "+r.log.settings.stream(), err))
	case info.Error != nil, r.doubt, info.Created.UnixNano() != r.epoch, info.State.LastSeq+1 != r.behind:
		return r.catchUp(max(info.State.LastSeq, r.next-1))
	}
	r.readReceipts()
	return r.answered()
}

// unanswered notes that the stream does not answer, and reports that if it has lasted.
func (r *reader) unanswered(cause error) error {
	r.doubt = true
	return r.broken(cause)
}

// broken notes that the stream does not do its work, and reports that, once, if it has lasted. Short gaps,
// as while another server begins to lead, are not news to a hub.
func (r *reader) broken(cause error) error {
	switch {
	case r.since.IsZero():
		r.since = time.Now()
	case !r.lost && time.Since(r.since) >= r.log.times.answer:
		r.lost = true
		return r.report(order.Event{Kind: order.Unreached, Err: cause})
	}
	return nil
}

// answered notes that the stream answers, which is not enough if it refuses records.
func (r *reader) answered() error {
	if r.refused != nil {
		return r.broken(r.refused)
	}
	r.since = time.Time{}
	if !r.lost {
		return nil
	}
	r.lost = false
	return r.report(order.Event{Kind: order.Reached})
}

package jetstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// What one direct get returns at most.
const (
	batchRecords = 512
	batchBytes   = 8 << 20
)

// A contradiction is a fellOut error if it lasts.
type contradiction fellOut

// catchUp makes sure that the stream is the one that was read so far, and reports what is
// missing up to number upto. It tries again until that succeeds; otherwise the reader has
// fallen out or was stopped. What an attempt ends with decides:
//
//	nil               what is missing has been reported
//	fellOut           reading ends
//	contradiction     reading ends if the next attempts say so too, for as long as times.lag:
//	                  a replica that answers may be a little behind
//	another error     the stream does not answer; Unreached is reported if that lasts
func (r *reader) catchUp(upto uint64) error {
	r.log.counts.end.Store(upto + 1)
	var since time.Time // of the contradiction
	for {
		err := r.tryCatchUp(upto)
		var against contradiction
		switch {
		case err == nil:
			r.doubt = false
			r.copies, _, _ = r.sub.Pending() // an error means a closed subscription, which NextMsg reports
			return r.answered()
		case r.ctx.Err() != nil, errors.As(err, &fellOut{}):
			return err
		case !errors.As(err, &against):
			since = time.Time{}
			if err := r.unanswered(err); err != nil {
				return err
			}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= r.log.times.lag:
			return fellOut(against)
		}
		select {
		case <-time.After(r.log.times.retry):
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		if r.connection.conn.IsClosed() {
			return fellOut{order.Disconnected, r.log.unreached()}
		}
	}
}

// tryCatchUp is one attempt of catchUp.
func (r *reader) tryCatchUp(upto uint64) error {
	dials := r.connection.dialer.dials.Load()
	info, err := r.log.info(r.ctx, r.connection, "")
	switch {
	case errors.Is(err, nats.ErrStreamNotFound):
		return contradiction{order.OtherLog, errors.New("the stream was deleted")}
	case err != nil:
		return err
	case info.Created.UnixNano() != r.epoch:
		return fellOut{order.OtherLog, fmt.Errorf("the stream was deleted, and another was created at %v", info.Created)}
	case info.State.FirstSeq > r.next:
		return fellOut{order.Overtaken, fmt.Errorf("records %d to %d are missing, and the stream keeps none before %d", r.next, info.State.FirstSeq-1, info.State.FirstSeq)}
	case info.State.LastSeq+1 < r.next:
		return contradiction{order.OtherLog, fmt.Errorf("the stream has lost its content: its last record is number %d, after %d", info.State.LastSeq, r.next-1)}
	}
	// The last record that was reported is got again, unless the stream no longer has it. If it
	// has the same time, what follows it belongs to the same stream.
	from := r.next
	if !r.previous.IsZero() && info.State.FirstSeq < r.next {
		from--
	}
	for from <= upto || from < r.next {
		if from, err = r.get(from, upto); err != nil {
			return err
		}
	}
	r.dials = dials
	return nil
}

// get reports records from number from to upto, as many as one direct get returns. It returns
// the number after the last one. If from is that of the record reported last, it only compares
// that one. The stream answers with one message for each record, and one with the status 204 behind
// them; another status says that there is no such record, or, 503, that nobody answers.
func (r *reader) get(from, upto uint64) (uint64, error) {
	answers, err := r.connection.subscribe(r.connection.conn.NewInbox())
	if err != nil {
		return from, err
	}
	defer answers.Unsubscribe()
	count := min(upto+1-min(from, upto), batchRecords)
	request := fmt.Sprintf(`{"seq":%d,"batch":%d,"max_bytes":%d}`, from, count, batchBytes)
	if err := r.connection.conn.PublishRequest("$JS.API.DIRECT.GET."+r.log.settings.stream(), answers.Subject, []byte(request)); err != nil {
		return from, r.log.unreached()
	}
	start := from
	for {
		m, err := answers.NextMsg(r.log.times.answer)
		if err != nil {
			return from, r.log.explain(r.connection, fmt.Sprintf("get record %d of stream %s", from, r.log.settings.stream()), err)
		}
		switch status := m.Header.Get("Status"); {
		case status == "204" && from > start:
			return from, nil
		case status == "503":
			return from, r.log.explain(r.connection, "get records of stream "+r.log.settings.stream(), nats.ErrNoResponders)
		case status != "":
			return from, contradiction{order.Incomplete, fmt.Errorf("record %d is not to be had: %s %s", from, status, m.Header.Get("Description"))}
		}
		e, err := r.log.entry(m, r.epoch)
		switch {
		case err != nil:
			return from, contradiction{order.Incomplete, fmt.Errorf("record %d is not to be had: %w", from, err)}
		case e.Sequence != from:
			return from, contradiction{order.Incomplete, fmt.Errorf("record %d is not to be had: the stream answers with %d", from, e.Sequence)}
		case from == r.next:
			r.log.counts.again.Add(1)
			err = r.deliver(e)
		case !e.At.Equal(r.previous):
			err = fellOut{order.OtherLog, fmt.Errorf("the stream has lost its content and began again: record %d is of %v, was of %v", from, e.At, r.previous)}
		}
		if err != nil {
			return from, err
		}
		from++
	}
}

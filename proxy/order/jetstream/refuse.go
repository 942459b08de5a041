package jetstream

import (
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

// Refusals are what the stream says of records that it does not take, for example because its server
// has no memory left. Without a question nobody hears of them, as records are published without a
// receipt, and the stream keeps answering the reader. So when nothing has come for long although it
// answers, a receipt is asked for with the next record that this hub appends:
//
//	reader.askReceipt ──▶ Log.receiptTo ──▶ Append ──▶ stream ──▶ reader.readReceipts
//
// Owned by the reader's run.
type refusals struct {
	receipts *nats.Subscription
	silent   time.Time // since when no record has come; zero before the first question about that
	refused  error     // what the last receipt refused, until a record comes
}

// askReceipt asks for a receipt if no record has come for long.
func (r *reader) askReceipt() {
	if r.silent.IsZero() {
		r.silent = time.Now()
	}
	if r.isSilent() {
		r.log.receiptTo.Store(&r.receipts.Subject)
	}
}

// isSilent reports whether no record has come for long.
func (r *reader) isSilent() bool {
	return !r.silent.IsZero() && time.Since(r.silent) >= r.log.times.answer
}

// readReceipts reads the receipts that have come. The last one counts, unless a record has come since.
func (r *reader) readReceipts() {
	for {
		m, err := r.receipts.NextMsg(time.Nanosecond)
		if err != nil {
			return
		}
		var receipt struct{ Error *nats.APIError }
		if json.Unmarshal(m.Data, &receipt) != nil {
			continue // there is no stream, or no leader, which the reader sees otherwise
		}
		r.refused = nil
		if receipt.Error != nil && r.isSilent() {
			r.refused = r.log.explain(r.connection, "append to stream "+r.log.settings.stream(), receipt.Error)
		}
	}
}

// publish publishes a record, and says where its receipt is to go if one is asked for.
func (l *Log) publish(record []byte) error {
	conn := l.connection.Load().conn
	if l.receiptTo.Load() != nil { // rarely
		if to := l.receiptTo.Swap(nil); to != nil {
			return conn.PublishRequest(l.subject, *to, record)
		}
	}
	return conn.Publish(l.subject, record)
}

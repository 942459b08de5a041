package order

// An EventKind says what an Event reports.
type EventKind uint8

const (
	Recorded  EventKind = iota + 1 // a record, in the order of the log
	Reached                        // the log answers again
	Unreached                      // the log does not answer; the records that follow will come once it does
	FellOut                        // nothing follows until reading begins again
)

// An Event is what a log reports to its one reader, in order.
type Event struct {
	Kind   EventKind
	Entry  Entry  // of Recorded
	Reason Reason // of FellOut
	Err    error  // of Unreached and FellOut: the cause, for people
}

// A Reason says why a reader fell out: what comes next in the log cannot be had, or belongs to
// another log. It is a label of the metric cluster_fell_out_total.
type Reason string

const (
	OtherLog     Reason = "stream"     // the log was made again or has lost what it held
	Overtaken    Reason = "behind"     // the log keeps less than the reader has missed
	Incomplete   Reason = "hole"       // somebody removed single records
	Disconnected Reason = "connection" // the connection was closed for good
)

// MaxStateChunk is the largest length of a chunk of a tenant's state in bytes.
const MaxStateChunk = 512 << 10

// Chunks returns a function that returns the chunks of a state one after the other, and then end.
func Chunks(chunks [][]byte, end error) (next func() ([]byte, error)) {
	return func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, end
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
}

// A StateChunk is a part of a tenant's state that a donor sends to a hub that enters.
type StateChunk struct {
	From, For Origin
	Chunk     []byte
	Last      bool
	Ack       func() error // tells the donor to send the next one; to be called once, or never
}

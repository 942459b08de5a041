package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// A Source is a tenant to record.
type Source struct {
	Name string
	Hub  *hub.Hub
}

// Options say what to record, and for how long. A limit of zero means no limit.
type Options struct {
	Bodies   bool            // false: only headers
	Commands []pdu.CommandID // nil: all
	Redact   []Field         // values to zero

	PDUs  uint64
	Bytes int64 // of the capture
	Time  time.Duration
}

const (
	// statisticsTime is the interval of statistics blocks.
	statisticsTime = time.Second
	// statisticsSpace is kept free for the last statistics block of each tenant.
	statisticsSpace = 256
)

// Why a capture ended, as written in its statistics.
const (
	endedPDUs    = "as many PDUs as asked for"
	endedBytes   = "as many bytes as asked for"
	endedTime    = "the time asked for is over"
	endedStopped = "the server stopped it"
)

// Run records the hubs of the sources until a limit is reached or ctx is done. Hubs never
// wait for out: records that it does not take in time are dropped and counted. The error
// is that of out.
func Run(ctx context.Context, out io.Writer, application string, sources []Source, o Options) error {
	r := &recorder{options: o, sources: sources, buffer: newBuffer(len(sources)),
		statistics: make([]Statistics, len(sources)), redact: make(map[pdu.CommandID][]Field)}
	for _, f := range o.Redact {
		r.redact[f.Command] = append(r.redact[f.Command], f)
	}
	for i, s := range sources {
		defer s.Hub.Attach(newTap(r.buffer, i, r.tenant(s)))()
	}
	if err := r.begin(out, application); err != nil { // a reader sees that recording has begun
		return err
	}
	if o.Time > 0 {
		timed, cancel := context.WithTimeoutCause(ctx, o.Time, errTime)
		defer cancel()
		ctx = timed
	}
	return r.run(ctx)
}

var errTime = errors.New(endedTime)

// A recorder is a capture in progress. It belongs to the goroutine of Run. Hubs are attached before
// anything is written, so what happens while the beginning is written waits in the buffer:
//
//	attach ─▶ Joined, Known for each session that is there; then PDUs and events as they come
//	begin  ─▶ section, interfaces
//	run    ─▶ known sessions, their users, what came meanwhile; then drain, drain, …
type recorder struct {
	options    Options
	sources    []Source
	buffer     *buffer
	redact     map[pdu.CommandID][]Field
	statistics []Statistics
	present    []seat   // sessions from before the capture began
	early      []Record // taken from the buffer, to be written after the users of present

	counter  *counter
	buffered *bufio.Writer
	writer   *Writer
	pdus     uint64
	ended    string
}

// counter counts the bytes of the capture.
type counter struct {
	out   io.Writer
	bytes int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return c.out.Write(p)
}

func (r *recorder) tenant(s Source) Tenant {
	return Tenant{Name: s.Name, Bodies: r.options.Bodies, Commands: r.options.Commands, Redacted: r.options.Redact}
}

// begin writes the section header and the interfaces.
func (r *recorder) begin(out io.Writer, application string) (err error) {
	r.buffered = bufio.NewWriterSize(out, 64<<10)
	r.counter = &counter{out: r.buffered}
	if r.writer, err = NewWriter(r.counter, application); err != nil {
		return err
	}
	for _, s := range r.sources {
		if err := r.writer.AddTenant(r.tenant(s)); err != nil {
			return err
		}
	}
	return r.flush()
}

// run writes the known state, and then records until the capture ends. Whatever ends it, statistics are
// the last thing that is written, unless writing itself has failed.
func (r *recorder) run(ctx context.Context) error {
	err := r.writeKnown(ctx)
	tick := time.NewTicker(statisticsTime)
	defer tick.Stop()
	for err == nil && r.ended == "" {
		if err = r.flush(); err != nil {
			break
		}
		select {
		case <-r.buffer.ready:
			err = r.drain()
		case <-tick.C:
			err = r.writeStatistics()
		case <-ctx.Done():
			why := endedStopped
			if context.Cause(ctx) == errTime {
				why = endedTime
			}
			err = r.drain() // which may find that another limit came first
			r.end(why)
		}
	}
	if err == nil {
		err = r.writeStatistics()
	}
	if err == nil {
		err = r.flush()
	}
	return err
}

// end sets why the capture ends, unless that is set.
func (r *recorder) end(why string) {
	if r.ended == "" {
		r.ended = why
	}
}

// drain writes the records of the buffer.
func (r *recorder) drain() error {
	for _, rec := range r.buffer.take() {
		if err := r.write(&rec); err != nil || r.ended != "" {
			return err
		}
	}
	return nil
}

// write writes a record, unless that would exceed the limit of bytes. The record that reaches the limit of
// PDUs is the last one.
func (r *recorder) write(rec *Record) error {
	if space := int64(len(r.sources)) * statisticsSpace; r.options.Bytes > 0 && r.counter.bytes+size(rec)+space > r.options.Bytes {
		r.end(endedBytes)
		return nil
	}
	if rec.Kind == PDU && !rec.Known {
		r.pdus++
		r.statistics[rec.Tenant].PDUs++
	}
	if rec.Kind == PDU {
		r.zero(rec)
	}
	if r.options.PDUs > 0 && r.pdus >= r.options.PDUs {
		r.end(endedPDUs)
	}
	return r.writer.Write(rec)
}

// size returns an upper bound for the length of the record's block.
func size(rec *Record) int64 {
	if rec.Kind == Grouped { // the names, and a comment that has them too
		return 2*maxGroupNames + 512
	}
	return int64(len(rec.PDU)) + 512
}

// zero zeroes the redacted fields of a record.
func (r *recorder) zero(rec *Record) {
	fields := r.redact[pdu.ParseHeader(rec.PDU).Command]
	if len(rec.PDU) == pdu.HeaderLen {
		return
	}
	for _, f := range fields {
		f.redact(rec.PDU[pdu.HeaderLen:])
		rec.Redacted = true
	}
}

// writeStatistics writes the counts of each tenant. They include records missed since the
// last written one, which a reader would not learn of otherwise.
func (r *recorder) writeStatistics() error {
	for i := range r.sources {
		r.statistics[i].Missed, r.statistics[i].Ended = r.buffer.missedOf(i), r.ended
		if err := r.writer.Statistics(i, time.Now(), r.statistics[i]); err != nil {
			return err
		}
	}
	return nil
}

// flush hands what is buffered to the client.
func (r *recorder) flush() error {
	if err := r.buffered.Flush(); err != nil {
		return fmt.Errorf("write the capture: %w", err)
	}
	return nil
}

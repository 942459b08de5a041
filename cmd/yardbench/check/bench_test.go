package check

import (
	"math"
	"testing"

	"switchyard/cmd/yardbench/message"
)

// BenchmarkTake measures what checking adds to each delivery.
func BenchmarkTake(b *testing.B) {
	for _, protocol := range []message.Protocol{message.PDU, message.NATS} {
		b.Run(protocol.String(), func(b *testing.B) {
			w, err := message.NewWire(protocol, 200)
			if err != nil {
				b.Fatal(err)
			}
			const senders, batch = 4, 16
			rec := &Recorder{Span: math.MaxInt64}
			var stream []byte
			seqs := [senders]uint32{}
			for len(stream) < 200<<10 {
				for sender := range uint32(senders) {
					for range batch {
						stream = appendDelivered(stream, &w, message.Message{Sender: sender, Seq: seqs[sender], Due: 1000})
						seqs[sender]++
					}
				}
			}
			messages := int(seqs[0]) * senders
			b.SetBytes(200)
			b.ReportAllocs()
			for n := 0; n < b.N; n += messages {
				r := NewReceiver(&w, message.Nobody, senders, rec)
				if used, err := r.Take(stream, 5000); used != len(stream) || err != nil || r.Faults.Any() || r.Delivered != uint64(messages) {
					b.Fatalf("took %d of %d bytes, %v: %v", used, len(stream), r.Faults, err)
				}
			}
		})
	}
}

// appendDelivered appends a message as a hub delivers it.
func appendDelivered(b []byte, w *message.Wire, m message.Message) []byte {
	if w.Protocol == message.PDU {
		return w.Append(b, m)
	}
	b = append(b, "MSG hub 1 200\r\n"...)
	return append(w.Format.Append(b, m), '\r', '\n')
}

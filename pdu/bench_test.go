package pdu_test

import (
	"fmt"
	"testing"

	"switchyard/pdu"
)

var sink uint32 // keeps results alive

func BenchmarkParseHeader(b *testing.B) {
	p := header(200)
	b.ReportAllocs()
	for b.Loop() {
		sink += pdu.ParseHeader(p).Length
	}
}

// One operation is a batch of 64 KiB, in PDUs of 200 bytes.
func BenchmarkWhole(b *testing.B) {
	batch := batchOf(200)
	b.ReportAllocs()
	b.SetBytes(int64(len(batch)))
	for b.Loop() {
		n, _ := pdu.Whole(batch, pdu.DefaultMaxLen)
		sink += uint32(n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)/200), "ns/PDU")
}

// One operation is a batch; the source copies, as a socket does.
func BenchmarkReader(b *testing.B) {
	for _, length := range []int{200, 65536} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			r := pdu.NewReader(&endless{stream: batchOf(length)}, pdu.DefaultMaxLen)
			b.ReportAllocs()
			bytes := 0
			for b.Loop() {
				bytes += len(readBatch(b, r))
			}
			b.SetBytes(int64(bytes / b.N))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(bytes/length), "ns/PDU")
		})
	}
}

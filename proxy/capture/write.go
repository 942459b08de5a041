package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// The pcapng blocks and options that are written and read.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6

	byteOrderMagic = 0x1a2b3c4d
	upperPDU       = 252 // LINKTYPE_WIRESHARK_UPPER_PDU

	optionEnd     = 0
	optionComment = 1

	sectionApplication = 4

	interfaceName        = 2
	interfaceDescription = 3
	interfaceResolution  = 9
	interfaceFilter      = 11

	packetFlags   = 2
	packetDropped = 4

	statisticsEnd      = 3
	statisticsReceived = 4
	statisticsDropped  = 5

	inbound     = 1 // of packetFlags
	nanoseconds = 9 // of interfaceResolution: the number of decimal places of a second
)

// Statistics are the counts of a tenant in a capture.
type Statistics struct {
	PDUs   uint64 // recorded, without those of the known state
	Missed uint64 // records that were dropped for lack of room
	// Ended says why the capture ended. It is empty until then.
	Ended string
}

// A Writer writes a capture. Each block is one Write to the underlying writer, so that a writer
// which fails between two calls leaves a capture that can be read. The blocks of a capture:
//
//	section header        once
//	interface             one for each tenant
//	packet                one for each record
//	interface statistics  one for each tenant every second; the last ones say why it ended
type Writer struct {
	out io.Writer
	buf []byte
}

// NewWriter begins a capture. application names the program that makes it.
func NewWriter(out io.Writer, application string) (*Writer, error) {
	w := &Writer{out: out}
	w.begin(blockSection)
	w.u32(byteOrderMagic)
	w.u16(1) // version 1.0
	w.u16(0)
	w.u64(1<<64 - 1) // the length of the section is unknown
	w.option(sectionApplication, []byte(application))
	return w, w.end()
}

// AddTenant adds an interface for a tenant. The first one is Record.Tenant 0.
func (w *Writer) AddTenant(t Tenant) error {
	w.begin(blockInterface)
	w.u16(upperPDU)
	w.u16(0)
	w.u32(maxPacket)
	w.option(interfaceName, []byte(t.Name))
	w.option(interfaceDescription, []byte("PDUs from peers of tenant "+t.Name+", with the policy's verdicts"))
	w.option(interfaceResolution, []byte{nanoseconds})
	w.option(interfaceFilter, append([]byte{0}, t.filter()...)) // 0: the filter is text
	return w.end()
}

// Write writes a record. It keeps at most MaxKept bytes of the PDU, and its Length.
func (w *Writer) Write(r *Record) error {
	kept, length := r.payload()
	w.begin(blockPacket)
	w.u32(uint32(r.Tenant))
	w.time(r.Time)
	w.u32(uint32(overhead + len(kept)))
	w.u32(uint32(overhead + length))
	w.buf = r.appendInfo(w.buf)
	w.buf = append(w.buf, kept...)
	w.pad()
	w.option(optionComment, []byte(r.comment()))
	w.option(packetFlags, binary.BigEndian.AppendUint32(nil, inbound))
	if r.Missed > 0 {
		w.option(packetDropped, binary.BigEndian.AppendUint64(nil, r.Missed))
	}
	return w.end()
}

// Statistics writes the counts of a tenant. They replace those written before.
func (w *Writer) Statistics(tenant int, at time.Time, s Statistics) error {
	w.begin(blockStatistics)
	w.u32(uint32(tenant))
	w.time(at)
	if s.Ended != "" {
		w.option(optionComment, []byte(s.Ended))
		w.option(statisticsEnd, binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())))
	}
	w.option(statisticsReceived, binary.BigEndian.AppendUint64(nil, s.PDUs+s.Missed))
	w.option(statisticsDropped, binary.BigEndian.AppendUint64(nil, s.Missed))
	return w.end()
}

// begin begins a block. Its length is set when it is complete.
func (w *Writer) begin(block uint32) {
	w.buf = w.buf[:0]
	w.u32(block)
	w.u32(0) // the length, set by end
}

func (w *Writer) u16(v uint16) { w.buf = binary.BigEndian.AppendUint16(w.buf, v) }
func (w *Writer) u32(v uint32) { w.buf = binary.BigEndian.AppendUint32(w.buf, v) }
func (w *Writer) u64(v uint64) { w.buf = binary.BigEndian.AppendUint64(w.buf, v) }

func (w *Writer) time(t time.Time) { w.u64(uint64(t.UnixNano())) }

// pad appends zeros up to a multiple of four bytes, as pcapng requires after values.
func (w *Writer) pad() {
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

// option appends an option. A value that is too long is cut.
func (w *Writer) option(code uint16, value []byte) {
	value = value[:min(len(value), 1<<16-1)]
	w.u16(code)
	w.u16(uint16(len(value)))
	w.buf = append(w.buf, value...)
	w.pad()
}

// end completes the block and writes it: the end of the options, and the length at both ends.
func (w *Writer) end() error {
	w.u16(optionEnd)
	w.u16(0)
	length := uint32(len(w.buf) + 4)
	w.u32(length)
	binary.BigEndian.PutUint32(w.buf[4:], length)
	if _, err := w.out.Write(w.buf); err != nil {
		return fmt.Errorf("write the capture: %w", err)
	}
	return nil
}

package capture

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// A capture may be damaged or forged, so nothing in it is believed: each length is compared with what is
// there before it is used, and each number with what was read before. What was read before a fault is
// sound, and can be used.

// maxTenants bounds the memory for interfaces.
const maxTenants = 4096

// A Reader reads a capture, in the memory of one record. It also reads captures that other
// tools have processed: in either byte order, concatenated, truncated, and with blocks that
// it does not know.
type Reader struct {
	blocks     blocks
	tenants    []Tenant
	statistics []Statistics
	units      []unit // of the times of each tenant
	section    int    // index of the first tenant of the section
	record     Record
}

// A unit is the resolution of an interface's times: so many units are a second.
type unit uint64

// NewReader returns a Reader of in. It makes small reads, so in should be buffered.
func NewReader(in io.Reader) *Reader { return &Reader{blocks: blocks{in: in}} }

// Next reads the next record, which is valid until the following call. At the end of the
// capture the error is io.EOF. If the capture is damaged it is a *FormatError, and the
// records before it are sound.
func (r *Reader) Next() (*Record, error) {
	for {
		is, err := r.block()
		if err != nil {
			return nil, err
		}
		if is == blockPacket {
			return &r.record, nil
		}
	}
}

// Tenants returns the tenants read so far. Record.Tenant is an index of it.
func (r *Reader) Tenants() []Tenant { return r.tenants }

// Statistics returns the counts of a tenant that were read last, and PDUs that were read since. A
// capture that was interrupted or cut off has no statistics at its end.
func (r *Reader) Statistics(tenant int) Statistics { return r.statistics[tenant] }

// Offset returns where the current block begins, in bytes.
func (r *Reader) Offset() int64 { return r.blocks.offset }

// block reads one block and returns its kind.
func (r *Reader) block() (kind uint32, err error) {
	kind, body, err := r.blocks.read()
	if err != nil {
		return 0, err
	}
	switch kind {
	case blockSection:
		err = r.readSection(body)
	case blockInterface:
		err = r.readInterface(body)
	case blockPacket:
		err = r.readPacket(body)
	case blockStatistics:
		err = r.readStatistics(body)
	}
	if err != nil {
		return 0, &FormatError{Offset: r.blocks.offset, Err: err}
	}
	return kind, nil
}

// readSection begins a section, whose interfaces are numbered from 0 again. Concatenated captures
// have several.
func (r *Reader) readSection(body []byte) error {
	if len(body) < 16 {
		return fmt.Errorf("a section header of %d bytes", len(body))
	}
	if major := r.blocks.order.Uint16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng of version %d; this Switchyard reads version 1", major)
	}
	r.section = len(r.tenants)
	return nil
}

// readInterface reads a tenant: its name, the unit of its times (microseconds unless it says
// otherwise, by the standard), and what was to be recorded of it.
func (r *Reader) readInterface(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("an interface of %d bytes", len(body))
	}
	if link := r.blocks.order.Uint16(body); link != upperPDU {
		return fmt.Errorf("an interface of link type %d, where a capture of Switchyard's has %d; this one was made by something else", link, upperPDU)
	}
	if len(r.tenants) == maxTenants {
		return fmt.Errorf("more than %d interfaces", maxTenants)
	}
	var t Tenant
	u := unit(1_000_000)
	filtered := false
	err := r.blocks.options(body[8:], func(code uint16, value []byte) (err error) {
		switch {
		case code == interfaceName:
			t.Name = string(value)
		case code == interfaceResolution && len(value) == 1:
			u, err = parseUnit(value[0])
		case code == interfaceFilter && len(value) > 0 && value[0] == 0:
			filtered = true
			err = t.parseFilter(string(value[1:]))
		}
		return err
	})
	if err == nil && !filtered {
		err = fmt.Errorf("an interface that does not say what was recorded; it was made by something else")
	}
	r.tenants = append(r.tenants, t)
	r.units = append(r.units, u)
	r.statistics = append(r.statistics, Statistics{})
	return err
}

// parseUnit parses a resolution: a negative power of 10, or of 2 if the highest bit is set.
func parseUnit(resolution byte) (unit, error) {
	base, power := uint64(10), resolution
	if resolution&0x80 != 0 {
		base, power = 2, resolution&0x7f
	}
	u := uint64(1)
	for range power {
		over, low := bits.Mul64(u, base)
		if over != 0 {
			return 0, fmt.Errorf("an interface with times in units of %d^-%d s, which is too fine", base, power)
		}
		u = low
	}
	return unit(u), nil
}

// time returns the time n units after the beginning of 1970. The product of two 64-bit numbers is taken in
// 128 bits, as the unit may be finer than a nanosecond.
func (u unit) time(n uint64) (time.Time, error) {
	seconds := n / uint64(u)
	if seconds >= math.MaxInt64/uint64(time.Second) {
		return time.Time{}, fmt.Errorf("a time %d seconds after 1970", seconds)
	}
	high, low := bits.Mul64(n%uint64(u), uint64(time.Second))
	nanoseconds, _ := bits.Div64(high, low, uint64(u))
	return time.Unix(int64(seconds), int64(nanoseconds)), nil
}

// tenant returns the index of the tenant of an interface of the current section.
func (r *Reader) tenant(number uint32) (int, error) {
	if uint64(r.section)+uint64(number) >= uint64(len(r.tenants)) {
		return 0, fmt.Errorf("interface %d, where the section has %d", number, len(r.tenants)-r.section)
	}
	return r.section + int(number), nil
}

// readPacket reads a packet's block: interface (4 bytes), time (4 high, 4 low), kept and original
// length (4 each), the packet padded to a multiple of 4, and options. Lengths are checked against
// the block, and against each other, before they are used.
func (r *Reader) readPacket(body []byte) (err error) {
	order := r.blocks.order
	if len(body) < 20 {
		return fmt.Errorf("a packet's block of %d bytes", len(body))
	}
	rec := &r.record
	*rec = Record{}
	if rec.Tenant, err = r.tenant(order.Uint32(body)); err != nil {
		return err
	}
	stamp := uint64(order.Uint32(body[4:]))<<32 | uint64(order.Uint32(body[8:]))
	if rec.Time, err = r.units[rec.Tenant].time(stamp); err != nil {
		return err
	}
	kept, length := order.Uint32(body[12:]), order.Uint32(body[16:])
	body = body[20:]
	if uint64(kept) > uint64(len(body)) || kept > length {
		return fmt.Errorf("a packet of %d bytes, of which %d were kept, in a block with room for %d", length, kept, len(body))
	}
	if err := rec.parse(body[:kept:kept], length); err != nil {
		return err
	}
	if rec.Kind == PDU && !rec.Known {
		r.statistics[rec.Tenant].PDUs++
	}
	return r.blocks.options(body[min(int(kept+3)&^3, len(body)):], func(code uint16, value []byte) error {
		if code == packetDropped && len(value) == 8 {
			rec.Missed = order.Uint64(value)
		}
		return nil
	})
}

// readStatistics reads the counts of a tenant, which replace those before.
func (r *Reader) readStatistics(body []byte) error {
	order := r.blocks.order
	if len(body) < 12 {
		return fmt.Errorf("statistics of %d bytes", len(body))
	}
	i, err := r.tenant(order.Uint32(body))
	if err != nil {
		return err
	}
	var s Statistics
	var ended bool
	var comment string
	err = r.blocks.options(body[12:], func(code uint16, value []byte) error {
		switch {
		case code == optionComment:
			comment = string(bytes.ToValidUTF8(value, []byte("?")))
		case code == statisticsEnd:
			ended = true
		case code == statisticsReceived && len(value) == 8:
			s.PDUs = order.Uint64(value)
		case code == statisticsDropped && len(value) == 8:
			s.Missed = order.Uint64(value)
		}
		return nil
	})
	s.PDUs -= min(s.PDUs, s.Missed)
	if ended {
		s.Ended = comment
	}
	r.statistics[i] = s
	return err
}

// Copy copies a capture to out in whole blocks, so that out holds a sound capture whenever
// Copy ends. The errors are those of Next except io.EOF, and those of out.
func (r *Reader) Copy(out io.Writer) error {
	for {
		if _, err := r.block(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := out.Write(r.blocks.buf); err != nil {
			return fmt.Errorf("write the capture: %w", err)
		}
	}
}

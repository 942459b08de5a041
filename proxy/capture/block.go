package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxBlock is how long a block may be. The longest that Switchyard writes holds a packet
// of maxPacket and short options.
const maxBlock = 1 << 20

// A FormatError is the error for a capture that cannot be read, or not beyond a block.
type FormatError struct {
	Offset int64 // in bytes, of the block that cannot be read
	Cut    bool  // the capture ends within that block; what precedes it is sound
	Err    error
}

func (e *FormatError) Error() string {
	if e.Cut {
		return fmt.Sprintf("the capture is cut off in the block at byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("not a capture of Switchyard, or a damaged one, at byte %d: %v", e.Offset, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// A block of pcapng. Its length is at both ends, which finds damage and lets tools read
// backwards:
//
//	offset  size  content
//	     0     4  kind
//	     4     4  length of the block, a multiple of 4
//	     8        body, and options: code (2), length (2), value, padding to 4
//	    -4     4  length again
//
// A section header tells the byte order of what follows it. Its own kind reads the same in both.

// blocks reads pcapng block by block.
type blocks struct {
	in     io.Reader
	order  binary.ByteOrder // of the section; nil before the first
	buf    []byte           // the current block
	offset int64            // of the current block
	next   int64
}

// read reads the next block. The error is io.EOF after the last one, a *FormatError, or
// that of the source.
func (b *blocks) read() (kind uint32, body []byte, err error) {
	b.offset = b.next
	b.buf = append(b.buf[:0], make([]byte, 12)...)
	if n, err := io.ReadFull(b.in, b.buf); err != nil {
		if n == 0 && err == io.EOF && b.order != nil {
			return 0, nil, io.EOF
		}
		return 0, nil, b.short(n, err)
	}
	kind = binary.BigEndian.Uint32(b.buf)
	if kind == blockSection { // the same in both orders
		if err := b.section(); err != nil {
			return 0, nil, err
		}
	}
	if b.order == nil {
		return 0, nil, b.fault("it begins with 0x%x, and not as pcapng does; record with 'switchyard capture'", b.buf[:4])
	}
	kind = b.order.Uint32(b.buf)
	length := b.order.Uint32(b.buf[4:])
	if length < 12 || length%4 != 0 || length > maxBlock {
		return 0, nil, b.fault("a block of %d bytes; blocks have 12 to %d, a multiple of 4", length, maxBlock)
	}
	b.buf = append(b.buf, make([]byte, length-12)...)
	if n, err := io.ReadFull(b.in, b.buf[12:]); err != nil && length > 12 {
		return 0, nil, b.short(12+n, err)
	}
	if again := b.order.Uint32(b.buf[length-4:]); again != length {
		return 0, nil, b.fault("a block whose length is %d at its start and %d at its end", length, again)
	}
	b.next += int64(length)
	return kind, b.buf[8 : length-4], nil
}

// section sets the byte order from a section header.
func (b *blocks) section() error {
	switch magic := b.buf[8:12]; {
	case binary.BigEndian.Uint32(magic) == byteOrderMagic:
		b.order = binary.BigEndian
	case binary.LittleEndian.Uint32(magic) == byteOrderMagic:
		b.order = binary.LittleEndian
	default:
		return b.fault("a section whose byte order is marked by %x", magic)
	}
	return nil
}

// short is the error of a block of which n bytes could be read.
func (b *blocks) short(n int, err error) error {
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read the capture: %w", err)
	}
	if b.order == nil {
		return b.fault("it ends after %d bytes", n)
	}
	return &FormatError{Offset: b.offset, Cut: true, Err: fmt.Errorf("%d bytes of it are there", n)}
}

func (b *blocks) fault(format string, args ...any) error {
	return &FormatError{Offset: b.offset, Err: fmt.Errorf(format, args...)}
}

var errOptions = errors.New("a block whose options do not end within it")

// options calls each for every option in data.
func (b *blocks) options(data []byte, each func(code uint16, value []byte) error) error {
	for len(data) > 0 {
		if len(data) < 4 {
			return errOptions
		}
		code, n := b.order.Uint16(data), int(b.order.Uint16(data[2:]))
		if code == optionEnd {
			return nil
		}
		padded := (n + 3) &^ 3
		if len(data)-4 < padded {
			return errOptions
		}
		if err := each(code, data[4:4+n]); err != nil {
			return err
		}
		data = data[4+padded:]
	}
	return nil
}

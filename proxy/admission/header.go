package admission

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

// A PROXY header is one line of text, or this:
//
//	signature  12 bytes
//	command     1
//	family      1
//	length      2   big endian, of what follows
//	addresses and further fields
const (
	longestV1 = 107 // bytes, with the end of the line
	prefixV2  = 16  // up to the length
	longestV2 = prefixV2 + 4096
)

var (
	errNoHeader   = errors.New("the proxy sent no PROXY header; have it send one, or take its network out of proxy_from")
	errLongHeader = errors.New("the PROXY header is too long")
	errNotTCP     = errors.New("the PROXY header announces a source that is not of TCP")
)

// A header is what a proxy says in front of what its client says.
type header struct {
	source netip.AddrPort // of the client; not valid if the proxy knows none, or speaks for itself
	early  []byte         // what came right behind the header
}

// readHeader reads a header, in however many pieces it arrives. The error is io.EOF if
// there was nothing to read.
func readHeader(r io.Reader) (header, error) {
	buf := make([]byte, 0, 512) // more than most are long, with some data
	for {
		whole, err := lengthOfHeader(buf)
		if err != nil {
			return header{}, err
		}
		if whole > 0 && len(buf) >= whole {
			return parseHeader(buf[:whole], buf[whole:])
		}
		buf = slices.Grow(buf, max(whole-len(buf), 1))
		n, err := r.Read(buf[len(buf):cap(buf)])
		if buf = buf[:len(buf)+n]; n > 0 {
			continue
		}
		if wentAway(err) && len(buf) > 0 { // not wrapped, as it has said something
			return header{}, fmt.Errorf("the PROXY header was cut short after %d bytes", len(buf))
		}
		if err != nil {
			return header{}, fmt.Errorf("read the PROXY header: %w", err)
		}
	}
}

// lengthOfHeader returns how long the header is that b begins with, or 0 if that is
// not yet to be seen.
func lengthOfHeader(b []byte) (int, error) {
	switch v1, v2 := proxyproto.SIGV1, proxyproto.SIGV2; {
	case bytes.HasPrefix(b, v1):
		end := bytes.IndexByte(b, '\n') + 1
		if end > longestV1 || end == 0 && len(b) >= longestV1 {
			return 0, errLongHeader
		}
		return end, nil
	case bytes.HasPrefix(b, v2):
		if len(b) < prefixV2 {
			return 0, nil
		}
		whole := prefixV2 + int(binary.BigEndian.Uint16(b[prefixV2-2:]))
		if whole > longestV2 {
			return 0, errLongHeader
		}
		return whole, nil
	case bytes.HasPrefix(v1, b), bytes.HasPrefix(v2, b):
		return 0, nil
	default:
		return 0, errNoHeader
	}
}

// parseHeader reads a whole header.
func parseHeader(b, early []byte) (header, error) {
	// With all of it in the buffer at once, as the library takes a line that arrives in
	// pieces for an attack; here it has a deadline.
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return header{}, fmt.Errorf("parse the PROXY header: %w", err)
	}
	if h.Command.IsLocal() {
		return header{early: early}, nil
	}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return header{}, errNotTCP
	}
	return header{source: unmapped(source), early: early}, nil
}

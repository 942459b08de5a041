package admission

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

// A PROXY header of version 1 is one line of text. One of version 2 is
//
//	signature  12 bytes
//	command     1
//	family      1
//	length      2   of what follows, big endian
//	addresses and further fields
const (
	longestV1 = 107 // bytes, including the line end
	prefixV2  = 16  // up to the length
)

// A header of version 2 may be as long as its length can say: it may have whole
// certificates in its fields.
func init() { proxyproto.MaxV2HeaderSize = math.MaxUint16 }

var (
	errNoHeader   = errors.New("the proxy sent no PROXY header; have it send one, or take its network out of proxy_from")
	errLongHeader = errors.New("the PROXY header is too long")
	errNotTCP     = errors.New("the PROXY header announces a source that is not of TCP")
	errLocalSends = errors.New("the PROXY header says LOCAL, a connection of the proxy's own, and more than a check was sent; have the proxy announce its client")
)

// A header is what a proxy sends ahead of its client's bytes.
type header struct {
	source netip.AddrPort // of the client; invalid if the proxy names none
	early  []byte         // what was read after the header
	local  bool           // the proxy checks the port, for no client
}

// readHeader reads a header, which may arrive in any number of pieces. The error is io.EOF
// if the peer sent nothing.
func readHeader(r io.Reader) (header, error) {
	buf := make([]byte, 0, 512) // most headers fit, together with some data
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
		if wentAway(err) && len(buf) > 0 { // err is not wrapped, so that the peer does not count as gone
			return header{}, fmt.Errorf("the PROXY header was cut short after %d bytes", len(buf))
		}
		if err != nil {
			return header{}, fmt.Errorf("read the PROXY header: %w", err)
		}
	}
}

// lengthOfHeader returns the length of the header at the beginning of b, or 0 if b is too
// short to tell.
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
		return prefixV2 + int(binary.BigEndian.Uint16(b[prefixV2-2:])), nil
	case bytes.HasPrefix(v1, b), bytes.HasPrefix(v2, b):
		return 0, nil
	default:
		return 0, errNoHeader
	}
}

// parseHeader parses a complete header.
func parseHeader(b, early []byte) (header, error) {
	if bytes.HasPrefix(b, proxyproto.SIGV2) {
		if err := checkFields(b); err != nil {
			return header{}, fmt.Errorf("parse the PROXY header: %w", err)
		}
		if b[12] == commandProxy && b[13] == familyUnspecified { // which the library refuses
			return header{early: early}, nil
		}
	}
	// The library refuses a line that arrives in pieces, as an attack. Here the deadline of
	// the handshake bounds that, so the library gets the complete header at once.
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return header{}, fmt.Errorf("parse the PROXY header: %w", err)
	}
	if h.Command.IsLocal() {
		return header{early: early, local: h.Version == 2}, nil
	}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return header{}, errNotTCP
	}
	return header{source: unmapped(source), early: early}, nil
}

package admission

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// v2 makes a header of version 2. length may differ from the length of what follows.
func v2(command, family byte, body string, length ...int) string {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n")
	b = append(b, command, family)
	n := len(body)
	if len(length) > 0 {
		n = length[0]
	}
	return string(binary.BigEndian.AppendUint16(b, uint16(n))) + body
}

const (
	local, proxied             = 0x20, 0x21
	tcp4, udp4, tcp6, unixSock = 0x11, 0x12, 0x21, 0x31
	addresses4                 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x50" // 192.0.2.1:4660 to 192.0.2.2:80
)

var addresses6 = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + strings.Repeat("\x00", 15) + "\x02" + "\x12\x34\x00\x50"

// field is a field of a header of version 2.
func field(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// summed puts the right checksum, plus off, into a field for it between others.
func summed(command, family byte, addresses string, off uint32) string {
	const before = "\x04\x00\x03abc\x03\x00\x04"
	text := []byte(v2(command, family, addresses+before+"\x00\x00\x00\x00"+field(5, "more")))
	sum := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(text[prefixV2+len(addresses+before):], sum+off)
	return string(text)
}

// localHeaders announce connections of the proxy itself, for no client.
var localHeaders = []struct{ name, text string }{
	{"v2 LOCAL", v2(local, 0, "")},
	{"v2 LOCAL with addresses", v2(local, tcp4, addresses4)},
	{"v2 LOCAL with a family and no addresses", v2(local, tcp6, "")},
	{"v2 LOCAL with what means nothing", v2(local, 0, "\x01\xff\xffx")},
	{"v2 LOCAL with a checksum", summed(local, 0, "", 0)},
	{"v2 LOCAL, long", v2(local, 0, field(4, strings.Repeat("x", 65532)))},
}

var goodHeaders = []struct{ name, text, source string }{
	{"v1 of TCP4", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", "192.0.2.1:4660"},
	{"v1 of TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n", "[2001:db8::1]:4660"},
	{"the longest v1", "PROXY TCP6 " + strings.Repeat("2001:", 7) + "2001 " + strings.Repeat("2002:", 7) + "2002 65535 65534\r\n", "[2001:2001:2001:2001:2001:2001:2001:2001]:65535"},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", ""},
	{"v1 UNKNOWN with more", "PROXY UNKNOWN ffff::1 whatever\r\n", ""},
	{"v2 of IPv4", v2(proxied, tcp4, addresses4), "192.0.2.1:4660"},
	{"v2 of IPv6", v2(proxied, tcp6, addresses6), "[2001:db8::1]:4660"},
	{"v2 of mapped IPv4", v2(proxied, tcp6, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x01"+strings.Repeat("\x00", 16)+"\x12\x34\x00\x50"), "192.0.2.1:4660"},
	{"v2 with a field", v2(proxied, tcp4, addresses4+"\x04\x00\x03abc"), "192.0.2.1:4660"},
	{"v2 with a certificate", v2(proxied, tcp4, addresses4+field(0x20, "\x07\x00\x00\x00\x00"+field(0x28, strings.Repeat("x", 5000)))), "192.0.2.1:4660"},
	{"the longest v2", v2(proxied, tcp4, addresses4+field(4, strings.Repeat("x", 65535-12-3))), "192.0.2.1:4660"},
	{"v2 with a checksum", summed(proxied, tcp4, addresses4, 0), "192.0.2.1:4660"},
	{"v2 of IPv6 with a checksum", summed(proxied, tcp6, addresses6, 0), "[2001:db8::1]:4660"},
	{"v2 unspecified", v2(proxied, 0, ""), ""},
	{"v2 unspecified, with a field", v2(proxied, 0, field(5, "id")), ""},
	{"v2 unspecified, with a checksum", summed(proxied, 0, "", 0), ""},
}

var badHeaders = []struct {
	name, text string
	err        error // or any
}{
	{"a PDU", "\x00\x00\x00\x10\x00\x01\x00\x00", errNoHeader},
	{"TLS", "\x16\x03\x01\x02\x00\x01", errNoHeader},
	{"lines", "GET / HTTP/1.1\r\n\r\n", errNoHeader},
	{"nearly v1", "PROXI TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", errNoHeader},
	{"nearly v2", "\r\n\r\n\x00\r\nQUIT\r", errNoHeader},
	{"v1 without an end", "PROXY UNKNOWN " + strings.Repeat("x", 107), errLongHeader},
	{"v1 with a late end", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", errLongHeader},
	{"v1 with half an end", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\n", nil},
	{"v1 of another word", "PROXYTCP4 192.0.2.1 192.0.2.2 4660 80\r\n", nil},
	{"v1 of UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 4660 80\r\n", nil},
	{"v1 of no address", "PROXY TCP4 example.org 192.0.2.2 4660 80\r\n", nil},
	{"v1 of the other family", "PROXY TCP4 2001:db8::1 2001:db8::2 4660 80\r\n", nil},
	{"v1 of a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 4660 80\r\n", nil},
	{"v1 of no port", "PROXY TCP4 192.0.2.1 192.0.2.2 66000 80\r\n", nil},
	{"v1 with more", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80 x\r\n", nil},
	{"v1 of nothing", "PROXY\r\n", nil},
	{"v2 with a wrong checksum", summed(proxied, tcp4, addresses4, 1), errChecksum},
	{"v2 of IPv6 with a wrong checksum", summed(proxied, tcp6, addresses6, 1<<31), errChecksum},
	{"v2 unspecified, with a wrong checksum", summed(proxied, 0, "", 1), errChecksum},
	{"v2 LOCAL with a wrong checksum", summed(local, 0, "", 1), errChecksum},
	{"v2 with a short checksum", v2(proxied, tcp4, addresses4+field(3, "abc")), errChecksumLen},
	{"v2 with two checksums", v2(proxied, tcp4, addresses4+strings.Repeat(field(3, "abcd"), 2)), errChecksumLen},
	{"v2 with a field that is cut", v2(proxied, tcp4, addresses4+field(5, "abcd")[:6]), errCutField},
	{"v2 with half a field", v2(proxied, tcp4, addresses4+"\x05\x00"), errCutField},
	{"v2 of another version", v2(0x11, tcp4, addresses4), nil},
	{"v2 of another command", v2(0x22, tcp4, addresses4), nil},
	{"v2 of another family", v2(proxied, 0x41, addresses4), nil},
	{"v2 of an unspecified stream", v2(proxied, 1, ""), nil},
	{"v2 with too little", v2(proxied, tcp4, addresses4[:11]), nil},
	{"v2 of IPv6 with too little", v2(proxied, tcp6, addresses4), nil},
	{"v2 of UDP", v2(proxied, udp4, addresses4), errNotTCP},
	{"v2 of a path", v2(proxied, unixSock, strings.Repeat("x", 216)), errNotTCP},
}

// chunks are ways in which the bytes are split.
var chunks = map[string]func(io.Reader) io.Reader{
	"at once":                      func(r io.Reader) io.Reader { return r },
	"byte by byte":                 iotest.OneByteReader,
	"in halves":                    iotest.HalfReader,
	"with the error":               iotest.DataErrReader,
	"byte by byte, with the error": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
}

func TestGoodHeaders(t *testing.T) {
	for _, test := range goodHeaders {
		for way, chunked := range chunks {
			for _, behind := range []string{"", "x", "PROXY UNKNOWN\r\n", strings.Repeat("data", 2000)} {
				r := chunked(strings.NewReader(test.text + behind))
				h, err := readHeader(r)
				if err != nil {
					t.Errorf("%s, %s: %v", test.name, way, err)
					continue
				}
				source := ""
				if h.source.IsValid() {
					source = h.source.String()
				}
				if source != test.source {
					t.Errorf("%s, %s: source %s, want %s", test.name, way, source, test.source)
				}
				rest, _ := io.ReadAll(r)
				if got := string(h.early) + string(rest); got != behind {
					t.Errorf("%s, %s: %d bytes after it, want %d", test.name, way, len(got), len(behind))
				}
			}
		}
	}
}

func TestBadHeaders(t *testing.T) {
	for _, test := range badHeaders {
		for way, chunked := range chunks {
			for _, behind := range []string{"", strings.Repeat("data", 2000)} {
				h, err := readHeader(chunked(strings.NewReader(test.text + behind)))
				if err == nil || test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("%s, %s: %v, %+v; want %v", test.name, way, err, h, test.err)
				}
				if errors.Is(err, io.EOF) {
					t.Errorf("%s, %s: %v counts as a peer that sent nothing", test.name, way, err)
				}
			}
		}
	}
}

// The error says after how many bytes a header was cut short.
func TestHeadersCutShort(t *testing.T) {
	for _, test := range goodHeaders {
		for n := 0; n < len(test.text); n += 1 + n/100 {
			_, err := readHeader(strings.NewReader(test.text[:n]))
			switch {
			case n == 0 && !errors.Is(err, io.EOF):
				t.Errorf("empty: %v", err)
			case n > 0 && (err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), fmt.Sprintf("cut short after %d bytes", n))):
				t.Fatalf("%s: cut short after %d bytes: %v", test.name, n, err)
			}
			broken := io.MultiReader(strings.NewReader(test.text[:n]), iotest.ErrReader(syscall.EPIPE))
			if _, err := readHeader(broken); !errors.Is(err, syscall.EPIPE) {
				t.Fatalf("%s: broken after %d bytes: %v", test.name, n, err)
			}
		}
	}
}

// However the bytes of a proxy are split, the header means the same, and what follows the
// header is neither lost nor changed.
func FuzzHeader(f *testing.F) {
	for _, h := range goodHeaders {
		f.Add(h.text+"behind", 3)
	}
	for _, h := range badHeaders {
		f.Add(h.text, 1)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		whole := strings.NewReader(text)
		a, errA := readHeader(whole)
		pieces := &pieceReader{text, 1 + piece&63}
		b, errB := readHeader(pieces)
		if (errA == nil) != (errB == nil) || a.source != b.source {
			t.Fatalf("at once %v (%v), in pieces %v (%v)", a.source, errA, b.source, errB)
		}
		if errA != nil {
			return
		}
		restA, _ := io.ReadAll(whole)
		if got := string(a.early) + string(restA); got != string(b.early)+pieces.text || !strings.HasSuffix(text, got) {
			t.Fatalf("behind it: at once %q, in pieces %q", got, string(b.early)+pieces.text)
		}
	})
}

type pieceReader struct {
	text  string
	piece int
}

func (r *pieceReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.piece)], r.text)
	r.text = r.text[n:]
	return n, nil
}

// The tenant sees the address that the proxy announces, and every byte after the header.
func TestProxied(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout})
	for _, test := range goodHeaders {
		t.Run(test.name, func(t *testing.T) {
			conn := h.say(test.text + "glued")
			s := h.serves("main")
			want := test.source
			if want == "" {
				want = conn.LocalAddr().String()
			}
			if got := s.RemoteAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().String(); got != want {
				t.Errorf("the peer is %s, want %s", got, want)
			}
			if _, ok := s.Conn.(syscall.Conn); !ok {
				t.Error("the tenant cannot write to the socket without blocking")
			}
			io.WriteString(conn, ", and later")
			hears(t, s, "glued, and later")
			io.WriteString(s, "answer")
			hears(t, conn, "answer")
			s.end()
		})
	}
}

func TestProxiedByteByByte(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout})
	for _, text := range []string{goodHeaders[0].text, v2(proxied, tcp4, addresses4)} {
		conn := h.dial()
		for _, b := range []byte(text + "later") {
			conn.Write([]byte{b})
		}
		s := h.serves("main")
		if got := s.RemoteAddr().String(); got != "192.0.2.1:4660" {
			t.Errorf("the peer is %s", got)
		}
		hears(t, s, "later")
	}
}

// io.Copy from the connection includes the bytes read with the header.
func TestCopyOfProxied(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout})
	conn := h.say("PROXY UNKNOWN\r\nearly")
	s := h.serves("main")
	io.WriteString(conn, " late")
	conn.Close()
	var got strings.Builder
	if _, err := io.Copy(&got, s.Conn); err != nil || got.String() != "early late" {
		t.Errorf("copied %q (%v)", got.String(), err)
	}
}

func TestBadHeadersAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout})
	for _, test := range badHeaders {
		conn := h.say(test.text)
		conn.CloseWrite()
		gone(t, conn)
	}
	h.say("PROXY TCP4 192.0.2.1").CloseWrite()
	bad := uint64(len(badHeaders) + 1)
	h.refuses(map[Reason]uint64{ProxyHeader: bad})
	h.logs("reason=proxy-header", "proxy=127.0.0.1:", "error=")
	h.dial().Close()
	h.refuses(map[Reason]uint64{ProxyHeader: bad, Abandoned: 1})
	h.say("PROXY UNKNOWN\r\n")
	h.serves("main")
}

// A header that arrives too slowly, or not at all, is refused after the timeout. After
// the header, the timeout does not apply.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: timeout})
	start := time.Now()
	silent, loris := h.dial(), h.dial()
	for b := range strings.SplitSeq("PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", "") {
		time.Sleep(timeout / 10) // the pace of the peer
		if _, err := io.WriteString(loris, b); err != nil {
			break
		}
	}
	gone(t, loris)
	gone(t, silent)
	if took := time.Since(start); took < timeout {
		t.Errorf("both were refused after %v, before the timeout", took)
	}
	h.refuses(map[Reason]uint64{ProxyTimeout: 2})
	var conn *net.TCPConn
	s := h.servesRetrying(func() { conn = h.say("PROXY UNKNOWN\r\n") })
	time.Sleep(2 * timeout)
	io.WriteString(conn, "late")
	hears(t, s, "late")
}

// A proxy does not let its clients evade the limits, and has no limits itself.
func TestLimitsOfAnnounced(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.0/24"), Allow: networks("192.0.2.0/24", "2001:db8::/32"),
		SourceConnections: 2, AcceptRate: 1, HandshakeTimeout: testTimeout})
	announce := func(source string) string { return "PROXY TCP4 " + source + " 192.0.2.2 1 2\r\n" }
	for _, source := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.7", "192.0.2.7", "192.0.2.9"} {
		h.say(announce(source))
		h.serves("main")
	}
	gone(t, h.say(announce("192.0.2.1")))
	h.refuses(map[Reason]uint64{SourceFull: 1})
	gone(t, h.say(announce("192.0.3.1")))
	gone(t, h.say("PROXY UNKNOWN\r\n")) // the proxy itself is not allowed
	h.refuses(map[Reason]uint64{SourceFull: 1, NotAllowed: 2})
	h.logs("reason=not-allowed", "peer=192.0.3.1:1", "proxy=127.0.0.1:")
	gone(t, h.dial("127.0.1.1")) // not a proxy
	h.refuses(map[Reason]uint64{SourceFull: 1, NotAllowed: 3})
	if n := h.servesUntil(SourceRate, func() { h.say(announce("192.0.2.20")) }); n < 2 {
		t.Errorf("%d were served, want a burst of 2", n)
	}
}

// From other networks, a PROXY header is data for the tenant.
func TestHeaderFromElsewhere(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout})
	conn := h.say("PROXY UNKNOWN\r\n")
	s := h.serves("main")
	hears(t, s, "PROXY UNKNOWN\r\n")
	if got, want := s.RemoteAddr().String(), conn.LocalAddr().String(); got != want {
		t.Errorf("the peer is %s, want %s", got, want)
	}
}

// A proxy that checks the port for itself is not a peer, whether or not its own address may
// connect. It gets no answer and is not waited for.
func TestProxyChecks(t *testing.T) {
	for name, o := range map[string]Options{
		"any": {}, "not allowed": {Allow: networks("192.0.2.0/24")},
	} {
		o.ProxyFrom, o.HandshakeTimeout = networks("127.0.0.1/32"), testTimeout
		h := open(t, o)
		for _, test := range localHeaders {
			h.say(test.text).Close()
		}
		h.refuses(map[Reason]uint64{Abandoned: uint64(len(localHeaders))})
		gone(t, h.say(localHeaders[0].text+"a PDU"))
		h.refuses(map[Reason]uint64{Abandoned: uint64(len(localHeaders)), ProxyHeader: 1})
		h.logs("level=WARN", "reason=proxy-header", "LOCAL", "have the proxy announce its client")
		if n := strings.Count(h.lines.String(), "\n"); n != 1 {
			t.Errorf("%s: %d lines, want one: %s", name, n, h.lines)
		}
	}
}

// A check that stays open ends with the handshake's timeout.
func TestProxyCheckThatStays(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: 50 * time.Millisecond})
	gone(t, h.say(v2(local, 0, "")))
	h.refuses(map[Reason]uint64{Abandoned: 1})
}

// A check of a TLS port gets its handshake.
func TestProxyChecksTLS(t *testing.T) {
	t.Parallel()
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout, TLS: serverTLS(t)})
	over, err := handshake(t, h.say(v2(local, 0, "")), "")
	if err != nil {
		t.Fatal(err)
	}
	over.Close()
	h.refuses(map[Reason]uint64{Abandoned: 1})
}

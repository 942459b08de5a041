package proxy

import (
	"bytes"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// Other protocols reach a PDU port by mistake. A PDU begins with its length, and read as
// lengths, the first bytes of nearly all other protocols are far above any maximum, so
// the connection would be closed as bad-length. Naming the protocol tells the operator
// what to change.

// A foreignError is the error of a connection that speaks another protocol.
type foreignError struct {
	protocol string
	reason   hub.Reason
	hint     string // what to do
}

func (e *foreignError) Error() string { return "the first bytes are " + e.protocol + ", not a PDU" }

var (
	foreignTLS = &foreignError{"a TLS handshake", hub.TLSOnPlainPort,
		"the peer speaks TLS and this listener does not; write a listener.tls section, or have the peer connect without TLS"}
	foreignProxy = &foreignError{"a PROXY header", hub.ProxyHeader,
		"the header is taken only from the networks in the listener's proxy_from; add the proxy's there, or have it send none"}
	foreignHTTP = &foreignError{"HTTP", hub.HTTP,
		"this port is for msg_servers; the admin server has an address of its own, admin.address"}
)

// proxySignature is how a PROXY header of version 2 begins.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// foreignPrefixes are the first bytes of other protocols. Each is shorter than a PDU's
// header, so no PDU has been handed over when one is recognised.
var foreignPrefixes = []struct {
	protocol *foreignError
	prefixes []string
}{
	{foreignProxy, []string{"PROXY ", proxySignature}},
	{foreignHTTP, []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI * HTTP/2.0"}},
}

// sniff returns the other protocol that the first bytes of a connection belong to, or
// nil if they may be a PDU's. It takes at most as many bytes as a header has.
func sniff(first []byte) *foreignError {
	if isClientHello(first) {
		return foreignTLS
	}
	for _, f := range foreignPrefixes {
		for _, prefix := range f.prefixes {
			if bytes.HasPrefix(first, []byte(prefix)) {
				return f.protocol
			}
		}
	}
	return nil
}

// isClientHello reports whether a TLS record with a ClientHello begins with these
// bytes: type 22, version 3.x, two bytes of length, message type 1. As a PDU it would
// be longer than 352 MiB.
func isClientHello(first []byte) bool {
	return len(first) >= 6 && first[0] == 22 && first[1] == 3 && first[2] <= 4 && first[5] == 1
}

// A sniffer collects the first bytes of a connection until they are known to be a
// PDU's.
type sniffer struct {
	bytes [pdu.HeaderLen]byte
	n     int
}

// done reports whether there is nothing more to find out.
func (s *sniffer) done() bool { return s.n == len(s.bytes) }

// add takes the next bytes, and returns the protocol that they reveal, or nil.
func (s *sniffer) add(p []byte) *foreignError {
	s.n += copy(s.bytes[s.n:], p)
	return sniff(s.bytes[:s.n])
}

package proxy

import (
	"bytes"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// What other protocols begin with that end up at a PDU port by mistake. A PDU begins
// with its length, so as lengths nearly all of these are far above any maximum, and the
// connection would be closed for that; with a name, somebody knows what to do.

// A foreignError is a connection that does not speak PDUs.
type foreignError struct {
	protocol string
	reason   hub.Reason
	hint     string // what to do
}

func (e *foreignError) Error() string { return "the first bytes are no PDU but " + e.protocol }

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

// foreignPrefixes are the words that foreign connections begin with. Each is shorter
// than a PDU's header, so no PDU has been handed over when one is recognised.
var foreignPrefixes = []struct {
	protocol *foreignError
	prefixes []string
}{
	{foreignProxy, []string{"PROXY ", proxySignature}},
	{foreignHTTP, []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI * HTTP/2.0"}},
}

// foreign returns what the first bytes of a connection, up to a header's length, are
// instead of a PDU, or nil if that is not, or not yet, known.
func foreign(first []byte) *foreignError {
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

// isClientHello reports whether a TLS record begins with these bytes, and in it a
// ClientHello: type 22, version 3.x, two bytes of length, message type 1. As a PDU it
// would be longer than 352 MiB.
func isClientHello(first []byte) bool {
	return len(first) >= 6 && first[0] == 22 && first[1] == 3 && first[2] <= 4 && first[5] == 1
}

// An opening is the first bytes of a connection, until they are known to be a PDU's.
type opening struct {
	bytes [pdu.HeaderLen]byte
	n     int
}

// over reports whether the opening is over.
func (o *opening) over() bool { return o.n == len(o.bytes) }

// pass takes in the next bytes, and returns what they show to be no PDU, or nil.
func (o *opening) pass(p []byte) *foreignError {
	o.n += copy(o.bytes[o.n:], p)
	return foreign(o.bytes[:o.n])
}

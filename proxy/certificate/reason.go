package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Why handshakes fail, as used by logs, counts and tests.
const (
	ReasonNotTLS          = "not-tls"          // the client speaks another protocol
	ReasonNoCertificate   = "no-certificate"   // the client sent none
	ReasonUnknownCA       = "unknown-ca"       // the client's is not signed by a CA of client_ca
	ReasonExpired         = "expired"          // the client's has expired, or is not valid yet
	ReasonRevoked         = "revoked"          // the client's certificate, or that of an intermediate CA, is in a list of crl
	ReasonBadCertificate  = "bad-certificate"  // the client's is not for clients, not its own, or broken
	ReasonProtocolVersion = "protocol-version" // the client supports none of the served versions
	ReasonTimeout         = "timeout"          // the handshake took too long
	ReasonClosed          = "closed"           // the client closed the connection, perhaps because it refused our certificate
	ReasonOther           = "other"
)

// Describe returns the reason for an error of a server's handshake, or "" for nil. The order of
// the cases matters, because an error may wrap several causes: an expired certificate, for
// example, also could not be verified.
func Describe(err error) (reason string) {
	switch {
	case err == nil:
		return ""
	case errors.As(err, new(tls.RecordHeaderError)):
		return ReasonNotTLS
	case isTimeout(err):
		return ReasonTimeout
	case isClosed(err):
		return ReasonClosed
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return ReasonUnknownCA
	case isExpired(err):
		return ReasonExpired
	case errors.As(err, new(*revokedError)):
		return ReasonRevoked
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return ReasonBadCertificate
	}
	return describeText(err.Error())
}

// describeText recognizes the errors of crypto/tls that have no type of their own. A test
// causes each of them.
func describeText(text string) string {
	switch {
	case strings.Contains(text, "tls: client didn't provide a certificate"):
		return ReasonNoCertificate
	case strings.Contains(text, "tls: client offered only unsupported versions"):
		return ReasonProtocolVersion
	case strings.Contains(text, "client certificate"), strings.Contains(text, "tls: client sent certificate"):
		return ReasonBadCertificate
	}
	return ReasonOther
}

func isTimeout(err error) bool {
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// isClosed reports whether the client has closed the connection. An alert counts: the
// client sends nothing after it.
func isClosed(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe, context.Canceled, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED} {
		if errors.Is(err, gone) {
			return true
		}
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

func isExpired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

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

// The reasons for which a handshake came to nothing, for logs, counts and tests.
const (
	ReasonNotTLS          = "not-tls"          // the client speaks something else
	ReasonNoCertificate   = "no-certificate"   // the client showed none
	ReasonUnknownCA       = "unknown-ca"       // none of client_ca signed the client's
	ReasonExpired         = "expired"          // the client's is not valid any more, or not yet
	ReasonBadCertificate  = "bad-certificate"  // the client's is not for clients, not its own, or broken
	ReasonProtocolVersion = "protocol-version" // the client knows no version that is served
	ReasonTimeout         = "timeout"          // the handshake took too long
	ReasonClosed          = "closed"           // the client went away, maybe as it did not like our certificate
	ReasonOther           = "other"
)

// Describe returns the reason for which a server's handshake ended with that error;
// "" for none.
func Describe(err error) (reason string) {
	switch {
	case err == nil:
		return ""
	case is[tls.RecordHeaderError](err):
		return ReasonNotTLS
	case isTimeout(err):
		return ReasonTimeout
	case isClosed(err):
		return ReasonClosed
	case is[x509.UnknownAuthorityError](err):
		return ReasonUnknownCA
	case isExpired(err):
		return ReasonExpired
	case is[*tls.CertificateVerificationError](err):
		return ReasonBadCertificate
	}
	return describeText(err.Error())
}

// describeText tells apart the errors of crypto/tls that have no type. A test makes
// each of them.
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

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isTimeout(err error) bool {
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// isClosed reports whether the other side is gone. An alert from there is the last
// that it says.
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

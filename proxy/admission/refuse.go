package admission

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// A Reason is why a connection is refused. Logs, counts and tests use the same word.
type Reason string

// Before the peer has sent anything:
const (
	NoDescriptors Reason = "no-descriptors"   // the process has none left
	ListenerFull  Reason = "listener-full"    // the listener has as many connections as it may
	NotAllowed    Reason = "not-allowed"      // the source is in none of the networks that may connect
	SourceFull    Reason = "source-full"      // the source has as many connections as it may
	SourceRate    Reason = "source-rate"      // the source connects too often
	Closing       Reason = "listener-closing" // the listener was closed during the handshake
)

// During the PROXY header and the TLS handshake. A failed handshake is "tls-" and the
// word of Options.Describe.
const (
	Abandoned        Reason = "abandoned"         // the peer left without having sent anything, or is a proxy that checks the port
	ProxyHeader      Reason = "proxy-header"      // the PROXY header is missing or wrong
	ProxyTimeout     Reason = "proxy-timeout"     // the PROXY header was not complete in time
	HandshakeTimeout Reason = "handshake-timeout" // the TLS handshake was not complete in time
	tlsFailed        Reason = "tls-"
)

// By the tenant that claims the connection:
const (
	Unclaimed      Reason = "unclaimed"       // no tenant claims it
	Ambiguous      Reason = "ambiguous"       // more than one tenant claims it
	NoTenant       Reason = "no-tenant"       // the tenant that claims it does not exist
	TenantFull     Reason = "tenant-full"     // the tenant has as many connections as it may
	TenantStopping Reason = "tenant-stopping" // the tenant is stopping
	TenantRefused  Reason = "tenant-refused"  // the tenant refused it for another reason
)

// linesEvery is the period in which logsample.Burst lines of each reason are written. Tests shorten it.
var linesEvery = time.Second

// refuse closes, counts and logs a connection that no tenant serves. cause may be nil.
func (c *connection) refuse(why Reason, cause error) {
	c.conn.Close()
	l := c.listener
	l.mu.Lock()
	l.counts.Handshaking--
	l.counts.Refused[why]++
	c.uncountSource()
	l.mu.Unlock()
	c.logRefusal(why, cause)
	if tell := c.options.Refused; tell != nil && why != Abandoned {
		tell(c.refusal(why, cause))
	}
}

// A Refusal describes a connection that was refused.
type Refusal struct {
	Reason     Reason
	Peer       string   // address and port, as a trusted proxy announced them if there is one
	Proxy      string   // its address and port; "" if there is none
	Listener   string   // address at which it was accepted
	ServerName string   // that the client asked for; "" if none
	Identities []string // in the client's certificate
	Tenant     string   // that claims it; "" if none does
	Error      string   // what explains the reason; "" if there is nothing to say
}

// refusal describes the refused connection, as far as it had come.
func (c *connection) refusal(why Reason, cause error) Refusal {
	r := Refusal{Reason: why, Peer: c.peer.String(), Listener: c.conn.LocalAddr().String(), ServerName: c.serverName, Identities: c.identities, Tenant: c.claimed}
	if c.proxied {
		r.Proxy = c.conn.RemoteAddr().String()
	}
	if cause != nil {
		r.Error = cause.Error()
	}
	return r
}

// logRefusal writes the line about a connection that was refused.
func (c *connection) logRefusal(why Reason, cause error) {
	l := c.listener
	level := slog.LevelWarn
	if why == Abandoned {
		level = slog.LevelDebug // health checks of load balancers do this all the time
	}
	if !l.log.Enabled(context.Background(), level) || !l.admitLine(why) {
		return
	}
	fields := []any{"reason", why, "peer", c.peer.String()}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name, cut(value))
		}
	}
	if c.proxied {
		add("proxy", c.conn.RemoteAddr().String())
	}
	add("server_name", c.serverName)
	add("identities", strings.Join(c.identities, " "))
	add("tenant", c.claimed)
	if cause != nil {
		add("error", cause.Error())
	}
	l.log.Log(context.Background(), level, "connection refused", fields...)
}

// admitLine reports whether a line may be written now. If not, either the next refusal or
// the accept loop, woken by a deadline, logs how many were left out.
func (l *Listener) admitLine(why Reason) bool {
	now := time.Now()
	l.mu.Lock()
	due := now.Sub(l.flushed) >= linesEvery
	l.mu.Unlock()
	if due {
		l.flushLines(now)
	}
	if l.lines.Admit(string(why), 1) {
		return true
	}
	l.wakeAt(now.Add(linesEvery))
	return false
}

// flushLines logs how many lines were left out since the last call.
func (l *Listener) flushLines(now time.Time) {
	l.mu.Lock()
	l.flushed = now
	l.mu.Unlock()
	l.lines.Flush(func(reason string, n int) {
		l.log.Warn("more of the same", "message", "connection refused", "reason", reason, "connections", n)
	})
}

// longestField is how many bytes of a text from a peer are logged.
const longestField = 256

// cut shortens a text that a peer may have made long.
func cut(s string) string {
	if len(s) <= longestField {
		return s
	}
	const more = "..."
	return strings.ToValidUTF8(s[:longestField-len(more)], "") + more
}

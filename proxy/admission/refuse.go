package admission

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// A Reason is why a connection is refused, the same word in logs, counts and tests.
type Reason string

// Before the peer has said anything:
const (
	NoDescriptors Reason = "no-descriptors"   // the process has no more of them
	ListenerFull  Reason = "listener-full"    // as many connections as the listener may have
	NotAllowed    Reason = "not-allowed"      // the source is in none of the networks that may connect
	SourceFull    Reason = "source-full"      // as many connections as the source may have
	SourceRate    Reason = "source-rate"      // the source connects too often
	Closing       Reason = "listener-closing" // the listener was closed during the handshake
)

// While it says who it is. A failed TLS handshake is "tls-" and what Options.Describe
// calls it.
const (
	Abandoned        Reason = "abandoned"         // it went away without having said anything
	ProxyHeader      Reason = "proxy-header"      // no PROXY header, or one that is wrong
	ProxyTimeout     Reason = "proxy-timeout"     // the PROXY header was not whole in time
	HandshakeTimeout Reason = "handshake-timeout" // the TLS handshake was not over in time
	tlsFailed        Reason = "tls-"
)

// By who it is:
const (
	Unclaimed      Reason = "unclaimed"       // no tenant serves it
	Ambiguous      Reason = "ambiguous"       // more than one tenant claims it
	NoTenant       Reason = "no-tenant"       // the tenant that claims it is not there
	TenantFull     Reason = "tenant-full"     // as many connections as the tenant may have
	TenantStopping Reason = "tenant-stopping" // the tenant takes no more
	TenantRefused  Reason = "tenant-refused"  // it says something else
)

// linesEvery is the period in which a few lines of a reason are written.
const linesEvery = time.Second

// refuse closes a connection that no tenant serves, counts it and logs it. cause may
// be nil.
func (c *connection) refuse(why Reason, cause error) {
	c.conn.Close()
	l := c.listener
	l.mu.Lock()
	l.counts.Handshaking--
	l.counts.Refused[why]++
	c.leavePlace()
	l.mu.Unlock()
	level := slog.LevelWarn
	if why == Abandoned {
		level = slog.LevelDebug // a load balancer that looks whether somebody is there does it all the time
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

// admitLine reports whether a line may be written now. If not, the accept loop wakes
// up to say how many were left out, unless the next refusal does.
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
	l.listener.SetDeadline(now.Add(linesEvery))
	return false
}

// flushLines says what was left out since it was last called.
func (l *Listener) flushLines(now time.Time) {
	l.mu.Lock()
	l.flushed = now
	l.mu.Unlock()
	l.lines.Flush(func(reason string, n int) {
		l.log.Warn("more of the same", "message", "connection refused", "reason", reason, "connections", n)
	})
}

// longestField is how many bytes of what a peer says are logged.
const longestField = 256

// cut shortens what a peer may have made long.
func cut(s string) string {
	if len(s) <= longestField {
		return s
	}
	const more = "..."
	return strings.ToValidUTF8(s[:longestField-len(more)], "") + more
}

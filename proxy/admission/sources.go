package admission

import (
	"container/list"
	"net/netip"
	"time"
)

// mostIdle is how many sources are remembered that have no connection and whose rate
// is not yet forgiven.
const mostIdle = 1 << 16

// sources remembers the addresses that connect, for the limits of each, and forgets
// them as soon as it makes no difference. All it does takes constant time, amortized.
// It is told the time, and called with Listener.mu held.
type sources struct {
	known map[netip.Addr]*source
	idle  list.List // of *source without connections, the one that has been so for longest in front
}

type source struct {
	key  netip.Addr
	open int
	// forgiven is when the rate is as if there had been no connection. Each moves it by
	// the time that one has to itself; how far ahead it may be is the burst.
	forgiven time.Time
	idle     *list.Element // its place among the idle, or nil
}

// enter takes a place for a connection of a, or says why there is none.
func (s *sources) enter(a netip.Addr, now time.Time, o *Options) Reason {
	s.forget(now)
	if s.known == nil {
		s.known = make(map[netip.Addr]*source)
	}
	key := keyOf(a)
	x := s.known[key]
	if x == nil {
		x = &source{key: key}
	}
	if o.SourceConnections > 0 && x.open >= o.SourceConnections {
		return SourceFull
	}
	if !x.take(now, o) {
		return SourceRate
	}
	x.open++
	s.known[key] = x
	if x.idle != nil {
		s.idle.Remove(x.idle)
		x.idle = nil
	}
	return ""
}

// take reports whether the source's rate has room for one more connection, and counts
// it if so.
func (x *source) take(now time.Time, o *Options) bool {
	if o.AcceptRate <= 0 {
		return true
	}
	burst := o.SourceConnections
	if burst <= 0 {
		burst = o.AcceptRate
	}
	burst = min(burst, 1<<30) // seconds of it are still a time.Duration
	each := time.Second / time.Duration(o.AcceptRate)
	if x.forgiven.Before(now) {
		x.forgiven = now
	}
	// With another rate before, more may be owed than that rate ever lets anybody owe.
	if most := now.Add(each * time.Duration(burst)); x.forgiven.After(most) {
		x.forgiven = most
	}
	if x.forgiven.Sub(now) > each*time.Duration(burst-1) {
		return false
	}
	x.forgiven = x.forgiven.Add(each)
	return true
}

// leave gives back the place of a connection of a.
func (s *sources) leave(a netip.Addr, now time.Time) {
	x := s.known[keyOf(a)]
	if x.open--; x.open > 0 {
		return
	}
	if !x.forgiven.After(now) {
		delete(s.known, x.key)
		return
	}
	x.idle = s.idle.PushBack(x)
	if s.idle.Len() > mostIdle {
		s.drop(s.idle.Front())
	}
}

// forget drops the idle sources whose rate is forgiven, from the front. One that is
// not yet holds up those behind it, for no longer than a burst takes.
func (s *sources) forget(now time.Time) {
	for e := s.idle.Front(); e != nil && !e.Value.(*source).forgiven.After(now); e = s.idle.Front() {
		s.drop(e)
	}
}

func (s *sources) drop(e *list.Element) {
	delete(s.known, s.idle.Remove(e).(*source).key)
}

// keyOf is what counts as one source: an IPv4 address, or an IPv6 network of the size
// that one customer is given, who can use any address in it.
func keyOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

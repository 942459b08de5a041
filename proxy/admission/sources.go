package admission

import (
	"container/list"
	"net/netip"
	"time"
)

// mostIdle is how many sources are remembered that have no connection, but have connected
// so recently that their rate still counts.
const mostIdle = 1 << 16

// sources remembers the addresses that connect, for the limits of each source, and forgets
// an address when that makes no difference. Every method takes constant time, amortized.
// It reads no clock, and is called with Listener.mu held.
type sources struct {
	known map[netip.Addr]*source
	idle  list.List // of *source without connections, the longest idle first
}

type source struct {
	key  netip.Addr
	open int
	// forgiven is when earlier connections stop counting for the rate. Each connection
	// moves it on by 1/rate, and it may be ahead of now by burst/rate:
	//
	//	rate 2/s, burst 3:  now ├──0.5 s──┼──0.5 s──┼──0.5 s──┤ the latest forgiven
	forgiven time.Time
	idle     *list.Element // its element of sources.idle, or nil
}

// enter counts a connection of a, or returns why a may not have one more.
func (s *sources) enter(a netip.Addr, now time.Time, o *Options) Reason {
	s.forget(now)
	x := s.find(a)
	if o.SourceConnections > 0 && x.open >= o.SourceConnections {
		return SourceFull
	}
	if !x.take(now, o) {
		return SourceRate
	}
	s.open(x)
	return ""
}

// adopt counts a connection of a that another process has accepted, whatever the limits are.
func (s *sources) adopt(a netip.Addr) { s.open(s.find(a)) }

// find returns the source of a, which is not remembered if it is new.
func (s *sources) find(a netip.Addr) *source {
	key := keyOf(a)
	if x := s.known[key]; x != nil {
		return x
	}
	return &source{key: key}
}

// open counts a connection of x.
func (s *sources) open(x *source) {
	if s.known == nil {
		s.known = make(map[netip.Addr]*source)
	}
	x.open++
	s.known[x.key] = x
	if x.idle != nil {
		s.idle.Remove(x.idle)
		x.idle = nil
	}
}

// take counts a connection for the rate of the source. It returns false if the rate is
// used up.
func (x *source) take(now time.Time, o *Options) bool {
	if o.AcceptRate <= 0 {
		return true
	}
	burst := o.SourceConnections
	if burst <= 0 {
		burst = o.AcceptRate
	}
	burst = min(burst, 1<<30) // so that burst times one second fits a time.Duration
	each := time.Second / time.Duration(o.AcceptRate)
	if x.forgiven.Before(now) {
		x.forgiven = now
	}
	// Under an earlier, lower rate, forgiven may have moved further than this one allows.
	if most := now.Add(each * time.Duration(burst)); x.forgiven.After(most) {
		x.forgiven = most
	}
	if x.forgiven.Sub(now) > each*time.Duration(burst-1) {
		return false
	}
	x.forgiven = x.forgiven.Add(each)
	return true
}

// leave uncounts a connection of a.
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

// forget drops idle sources whose rate is forgiven, from the front. One that is not
// forgiven yet delays those behind it, by a burst at most.
func (s *sources) forget(now time.Time) {
	for e := s.idle.Front(); e != nil && !e.Value.(*source).forgiven.After(now); e = s.idle.Front() {
		s.drop(e)
	}
}

func (s *sources) drop(e *list.Element) {
	delete(s.known, s.idle.Remove(e).(*source).key)
}

// keyOf returns what counts as one source: an IPv4 address, or an IPv6 /64, which is what
// one customer is given and can use any address of.
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

package hub_test

import (
	"bytes"
	"testing"

	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A lone hub goes through what happened at all hubs.
type lone struct {
	t   *testing.T
	hub *hub.Hub
	of  map[*sharedPeer]*hubtest.Peer
	got map[*sharedPeer][]byte // by peers that receive nothing any more
}

func (l *lone) connect(w *sharedPeer) {
	p := &hubtest.Peer{Hub: l.hub}
	p.Seat = l.hub.Connect(p, nil)
	l.of[w] = p
}

func (l *lone) handle(w *sharedPeer, pdus []byte) { l.of[w].Send(l.t, pdus) }

// freeze keeps what the peer received. Its session continues.
func (l *lone) freeze(w *sharedPeer) {
	if _, frozen := l.got[w]; !frozen {
		l.got[w] = bytes.Clone(l.of[w].Read())
	}
}

// replay has a lone hub go through everything.
func (s *sharing) replay() *lone {
	l := &lone{t: s.t, hub: hub.New(s.active, 1<<40), of: make(map[*sharedPeer]*hubtest.Peer), got: make(map[*sharedPeer][]byte)}
	l.hub.KeepSum()
	lives := make(map[uint16]int)
	for n := range uint16(firstHubs) {
		lives[n+1] = 0
	}
	for i := range len(s.log) + 1 {
		for _, do := range s.local[i] {
			do(l)
		}
		if i == len(s.log) {
			break
		}
		e := s.log[i]
		life, entered := lives[e.hub]
		switch {
		case e.what == gone && entered && life == e.life:
			delete(lives, e.hub)
			l.gone(s, e.hub)
		case e.what == enters:
			lives[e.hub] = e.life
			l.gone(s, e.hub)
		case e.what == said && entered && life == e.life:
			l.apply(e)
		}
	}
	return l
}

// gone releases the users of the hub.
func (l *lone) gone(s *sharing, hub uint16) {
	for _, w := range s.peers {
		if w.at.number == hub && l.of[w] != nil && w.began {
			l.hub.ReleaseUsers(w.Session())
		}
	}
}

func (l *lone) apply(e *entry) {
	switch {
	case e.said.Kind == order.Left:
		l.freeze(e.from)
		l.hub.Leave(l.of[e.from].Seat)
	case len(e.pdus) > 0:
		l.hub.SetPresenceLimits(limitsOf(e.hub))
		if e.again {
			l.hub.SetPresenceLimits(0, 0)
		}
		l.handle(e.from, e.pdus)
	}
}

package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// maxResults is how many results an engine remembers. When there are more, it forgets all.
const maxResults = 1024

// A sum identifies a module with its configuration. The length of the module is hashed first,
// so that moving bytes between module and configuration changes the sum.
type sum [sha256.Size]byte

func sumOf(module, config []byte) sum {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, uint64(len(module)))
	h.Write(module)
	h.Write(config)
	return sum(h.Sum(nil))
}

// A result is how the load of a module ended: it was refused, or may be loaded here within
// a time, as its trial has shown.
type result struct {
	refusal *Refusal
	within  time.Duration
}

// results remembers how loads ended, so that a module is tried once, and lets one goroutine
// at a time load a module:
//
//	begin ──▶ remembered         end with that
//	  │
//	  └─────▶ the caller's turn  load, and end with the result
type results struct {
	mu      sync.Mutex // guards what follows
	ended   map[sum]result
	starved map[sum]int           // number of loads for which this machine had too little CPU time
	turned  map[sum]chan struct{} // modules that are being loaded; each channel is closed when the turn ends
}

// begin waits for the caller's turn to load the module, and returns the last result, if one is
// remembered. Unless it returns an error, the caller must call end. Several goroutines may wait
// for the same turn; when its channel is closed they all look again, and one of them makes the
// next turn's channel.
func (r *results) begin(ctx context.Context, s sum) (last result, known bool, err error) {
	for {
		r.mu.Lock()
		turn := r.turned[s]
		if turn == nil {
			if r.turned == nil {
				r.turned, r.ended, r.starved = make(map[sum]chan struct{}), make(map[sum]result), make(map[sum]int)
			}
			r.turned[s] = make(chan struct{})
			last, known = r.ended[s]
			r.mu.Unlock()
			return last, known, nil
		}
		r.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return result{}, false, ctx.Err()
		}
	}
}

// end ends the turn.
func (r *results) end(s sum) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.turned[s])
	delete(r.turned, s)
}

// passed remembers that the module passed its trial.
func (r *results) passed(s sum, within time.Duration) { r.remember(s, result{within: within}) }

// refused remembers that the module was refused, unless that may be different next time.
func (r *results) refused(s sum, err error) {
	switch e, ok := errors.AsType[*GateError](err); {
	case !ok:
	case e.Starved():
		r.mu.Lock()
		if len(r.starved) >= maxResults {
			clear(r.starved)
		}
		r.starved[s]++
		r.mu.Unlock()
	case !e.temporary:
		r.remember(s, result{refusal: refusalOf(e)})
	}
}

// starvedBefore returns how often this machine had too little CPU time for the module.
func (r *results) starvedBefore(s sum) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starved[s]
}

// remember stores how a load ended. If there is no room, all earlier results are dropped: their
// modules are tried again.
func (r *results) remember(s sum, what result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) >= maxResults {
		clear(r.ended)
	}
	r.ended[s] = what
}

package admin

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// stalled returns a probe that is in flight and does not end.
func stalled() *probe { return &probe{begun: time.Now(), done: make(chan struct{})} }

// A probe has its time from when it began, however late a caller begins to wait for it.
func TestProbeStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stalled()
		time.Sleep(probeTime / 4)
		begun := time.Now()
		took, err := f.wait()
		if waited := time.Since(begun); !errors.Is(err, errStalled) || took != probeTime || waited != probeTime/4*3 {
			t.Errorf("got %v, %v after %v; want %v, %v after %v", took, err, waited, probeTime, errStalled, probeTime/4*3)
		}
	})
}

// Callers wait for the probe that is in flight, and its time counts as soon as it is the longest.
func TestOneProbeInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stalled()
		p := Probes{inflight: map[string]*probe{"a": f}, last: map[string]time.Duration{"a": time.Second}}
		if got := p.start(Tenant{Name: "a"}); got != f {
			t.Error("another probe was sent")
		}
		for _, want := range []time.Duration{time.Second, 2 * time.Second} {
			if got := p.Last("a"); got != want {
				t.Errorf("after %v the last probe took %v, want %v", time.Since(f.begun), got, want)
			}
			time.Sleep(2 * time.Second)
		}
		begun := time.Now()
		p.waitAll(time.Minute)
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("waited %v, want a minute for a probe that does not end", waited)
		}
		close(f.done)
		p.waitAll(time.Minute)
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("waited %v more for a probe that has ended", waited-time.Minute)
		}
	})
}

// A probe that has ended makes room for the next one.
func TestProbeEnds(t *testing.T) {
	var p Probes
	tenant := newTenant(t, "a", consume{})
	first := p.start(tenant)
	took, err := first.wait()
	if err != nil || took <= 0 || p.Last("a") != took || len(p.inflight) != 0 {
		t.Errorf("took %v, %v; the last took %v, and %d are in flight", took, err, p.Last("a"), len(p.inflight))
	}
	if second := p.start(tenant); second == first {
		t.Error("no other probe was sent")
	}
	p.running.Wait()
}

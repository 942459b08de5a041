//go:build full

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/policy/release/history"
)

// Killed at any moment of a release, the server comes back with the policy that was in force or with
// the candidate, serves, and its history verifies.
func TestCrashesDuringReleases(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	inForce, earlier := r.status().InForce.SHA256, "" // earlier is the candidate before
	random := rand.New(rand.NewPCG(5, 6))
	ends := make(map[string]int)
	for i := range 25 {
		text := fmt.Sprintf("%s# %d\n", savedTable([]string{except, "broadcast-all"}[i%2]), i)
		candidate := history.Sum([]byte(text))
		replace(t, filepath.Join(r.dir, "routes.toml"), text)
		stop := make(chan struct{})
		var operators sync.WaitGroup
		operators.Go(func() {
			verbs := []string{"promote", "pause", "promote", "resume", "promote", "promote", "promote", "retry"}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					r.tryPost(verbs[n%len(verbs)], `{"tenant": "default"}`) // of a server that may be dead
				}
			}
		})
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond) // the moment is to be any
		r.process.signal(syscall.SIGKILL)
		r.exit()
		r.process = nil
		close(stop)
		operators.Wait()
		r.restart()
		r.command(0, "history", "--verify")
		s := r.status()
		switch now := s.InForce.SHA256; {
		case s.Stage != nil && now == inForce:
			ends["begun again"]++
		case now == inForce:
			ends["stable"]++
		case now == candidate, now == earlier: // which a start let in before the next one was seen
			ends["candidate"]++
		default:
			t.Fatalf("crash %d: %s is in force after %s, want that or %s", i, now, inForce, candidate)
		}
		inForce, earlier = s.InForce.SHA256, candidate
		if s.Drift == "lost" {
			t.Errorf("crash %d: the policy in force was lost", i)
		}
		if got := r.chat(5); got != 5 {
			t.Errorf("crash %d: %d of 5 chats arrive", i, got)
		}
	}
	t.Log(ends)
	if ends["stable"] == 0 || ends["candidate"] == 0 {
		t.Errorf("the moments differ too little: %v", ends)
	}
}

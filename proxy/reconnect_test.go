package proxy

import (
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// Outdated sessions end one per second, and are served until then. A session that opened later
// stays open.
func TestEndOutdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		_, firstGot := listen(tenant)
		_, secondGot := listen(tenant)
		tenant.MarkOutdated()
		talker, talkerGot := listen(tenant)
		time.Sleep(4500 * time.Millisecond)
		if n, ending := tenant.Outdated(); n != 2 || ending {
			t.Errorf("%d sessions are outdated and ending is %v, want 2 and false", n, ending)
		}
		tenant.ForgetOutdated()
		if n, _ := tenant.Outdated(); n != 0 {
			t.Errorf("%d sessions are outdated, want none", n)
		}
		for _, s := range (*tenant.sessions.Load())[:2] {
			s.outdated.Store(true)
		}
		tenant.EndOutdated()
		tenant.EndOutdated()    // which changes nothing
		tenant.ForgetOutdated() // too late
		talker.Write(message(others, 1, "before the first tick"))
		first := <-firstGot
		synctest.Wait() // until the session is off the list
		if n, ending := tenant.Outdated(); n != 1 || !ending {
			t.Errorf("%d sessions are outdated and ending is %v, want 1 and true", n, ending)
		}
		talker.Write(message(others, 2, "after the first"))
		second := <-secondGot
		time.Sleep(10 * time.Second)
		if n, ending := tenant.Outdated(); n != 0 || ending {
			t.Errorf("%d sessions are outdated and ending is %v, want 0 and false", n, ending)
		}
		for i, got := range [][]arrival{first, second} {
			others := 0
			for _, a := range got {
				if a.what == "other" {
					others++
				}
			}
			if want := time.Duration(5+i) * time.Second; got[len(got)-1].at != want || others != i+1 {
				t.Errorf("session %d got %v, want %d messages and the end at %v", i+1, got, i+1, want)
			}
		}
		if c := tenant.Hub().Counts(); c.Closed[hub.RolledBack] != 2 || c.Sessions != 1 || c.Due != c.Delivered {
			t.Errorf("got %+v, want two sessions closed, one open, and everything delivered", c)
		}
		talker.Close()
		<-talkerGot
	})
}

// A session that an operator ends is written what is due to it, and is not ended a second time.
func TestSessionEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		_, got := listen(tenant)
		talker, talkerGot := listen(tenant)
		time.Sleep(1500 * time.Millisecond) // so that both are sessions
		talker.Write(message(others, 1, "before the end"))
		synctest.Wait()
		for _, s := range tenant.Sessions() {
			if s.Number != 1 {
				continue
			}
			if !s.End() || s.End() {
				t.Error("End is to return true once")
			}
		}
		all := <-got
		synctest.Wait()
		if c := tenant.Hub().Counts(); c.Closed[hub.ByOperator] != 1 || c.Sessions != 1 || c.Due != c.Delivered || all[0].what != "other" {
			t.Errorf("got %v and %+v, want one session closed, and everything delivered", all, c)
		}
		talker.Close()
		<-talkerGot
	})
}

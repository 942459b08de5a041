package presence

import (
	"testing"
	"time"

	"switchyard/pdu/body"
)

// What a peer reports about a user, and its leaving, take no longer because many other peers hold
// the user.
func TestUserOfManyPeers(t *testing.T) {
	const few, many = 10 * near, 10_000
	// shortest returns the shortest times of 20 rounds, in each of which the peers that are the last
	// ones of the user's holdings report it, and leave.
	shortest := func(holders Holder) (reports, leaving time.Duration) {
		d := New()
		stat := body.ServerUserStat{User: 7, Status: online, Client: windows}
		for h := range holders {
			d.Apply(h, stat)
		}
		reports, leaving = time.Hour, time.Hour
		for round := range Holder(20) {
			start := time.Now()
			for n := range Holder(50) {
				d.Update(2*round+n%2, stat)
			}
			reported := time.Now()
			d.Leave(2*round, 1)
			d.Leave(2*round+1, 0)
			d.Status(stat.User)
			reports, leaving = min(reports, reported.Sub(start)), min(leaving, time.Since(reported))
		}
		checkInvariants(t, d)
		return reports, leaving
	}
	reportsFew, leavingFew := shortest(few)
	reportsMany, leavingMany := shortest(many)
	if reportsMany > 20*reportsFew || leavingMany > 20*leavingFew { // it was hundreds of times as long
		t.Errorf("50 reports took %v for a user of %d peers, and %v for one of %d; that two of them left, %v and %v",
			reportsFew, few, reportsMany, many, leavingFew, leavingMany)
	}
}

//go:build full || race

package presence

import (
	"maps"
	"testing"

	"switchyard/pdu/body"
)

// A table that takes several chunks, with a user whose holders do not fit into one.
func TestExportOfLargeTable(t *testing.T) {
	const holders, users = 150_000, 30_000
	d := New()
	var held user
	for h := range Holder(holders) {
		d.hold(7, &held, d.addPeer(h+1))
	}
	d.store(7, held)
	for id := range uint32(users) {
		d.Apply(1+Holder(id%9), body.ServerUserStat{User: id, Status: body.Online, Client: body.ClientIOS})
	}
	chunks := exported(t, d, all)
	again, err := imported(chunks)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tableOf(again), tableOf(d)) || len(chunks) < 4 {
		t.Errorf("%d users in %d chunks, want %d, equal, in at least 4", again.Users(), len(chunks), d.Users())
	}
}

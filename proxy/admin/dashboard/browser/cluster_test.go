package browser

import (
	"fmt"
	"testing"
)

// The hubs that act as one.

// join makes the tenant's hub number 2 of three.
func (t *tenant) join() {
	member := func(hub int, name string, policies ...string) object {
		return object{"hub": hub, "incarnation": 70 + hub, "name": name, "ready": true, "next": 48000 + hub, "policies": policies, "heard_seconds": 0.4, "table_position": 48200, "table_sum": "00000000000000ab"}
	}
	t.cluster = object{"tenant": t.name, "state": "together", "why": "start", "hub": 2, "incarnation": 72, "position": object{"epoch": "1764450000000000000", "sequence": 48213}, "table_sum": "00000000000000ab",
		"members": []object{member(1, "north.example", "3b1f00ad00000001"), member(2, "south.example", "3b1f00ad00000001"), member(3, "<b>west</b>", "3b1f00ad00000001", "77aa00ad00000001")},
		"rules":   1, "quiet_seconds": 0.4, "underway_records": 3, "underway_bytes": 2048, "underway_seconds": 0.004, "applied": object{"1": 9000, "2": 8000, "3": 31213}, "ignored": object{},
		"entered": object{"start": 1}, "fell_out": object{}, "gone": 0, "alone": 0, "table_mismatches": 0, "policy_mismatches": 0}
}

// with changes the cluster as of the next snapshot. Earlier ones are being written, so a copy changes.
func (t *tenant) with(changes object) {
	next := object{}
	for name, value := range t.cluster {
		next[name] = value
	}
	for name, value := range changes {
		next[name] = value
	}
	t.cluster = next
}

const clusterCard = "#cluster-cards .card "

func TestClusterCard(t *testing.T) {
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprintf("dark %t", dark), func(t *testing.T) {
			w := newWorld()
			w.tenants[0].join()
			f := newFake(t, w)
			p := open(t, f.URL, look{width: 1400, height: 900, dark: dark})
			p.live()
			p.shows(clusterCard+".headline", "Hub 2: together, 3 members, position 48213.")
			p.shows(clusterCard+"table", "1", "north.example", "2 (this hub)", "<b>west</b>", "3b1f00ad0000, 77aa00ad0000", "48003", "48200")
			p.shows(clusterCard+".facts", "3 records, 2.00 KiB, the oldest for 4.00 ms", "00000000000000ab", "start 1")
			p.until("!document.getElementById('cluster-notice').checkVisibility()")
			p.clusterView("together", dark)

			f.change(func(w *world) {
				members := append([]object{}, w.tenants[0].cluster["members"].([]object)...)
				other := object{}
				for name, value := range members[0] {
					other[name] = value
				}
				other["policies"] = []string{"5500000000000001"}
				members[0] = other
				w.tenants[0].with(object{"members": members, "policy_mismatches": 1, "table_mismatches": 2})
			})
			p.shows(clusterCard+"tr.warn", "north.example", "550000000000 differs")
			p.shows(clusterCard+".facts", "1 member judges by other policies than this hub", "differed 2 times")
			p.clusterView("differs", dark)

			f.change(func(w *world) { w.tenants[0].with(object{"state": "waiting", "quiet_seconds": 7}) })
			p.shows("#cluster-notice:not(.bad)", "Waiting: the cluster of tenant acme has not answered for 7.00 s.")
			p.shows("#announcements", "Tenant acme is waiting.")
			f.change(func(w *world) {
				w.tenants[0].with(object{"state": "alone", "members": []object{}, "alone": 1, "fell_out": object{"stream": 1}})
			})
			p.shows("#cluster-notice.bad", "Alone: tenant acme does not reach the other hubs.")
			p.shows(clusterCard+".headline.wrong", "Hub 2: alone.")
			p.shows(clusterCard, "This hub is not a member now.", "Fell out", "stream 1", "Went on alone", "once")
			p.clusterView("alone", dark)
		})
	}
}

// clusterView takes a picture of the window with the card, and checks its contrasts.
func (p *page) clusterView(name string, dark bool) {
	p.t.Helper()
	eval[bool](p, "(window.scrollTo(0, 0), true)")
	p.view(fmt.Sprintf("cluster-%s-top-dark-%t", name, dark))
	eval[bool](p, "(document.getElementById('cluster').scrollIntoView(), true)")
	p.view(fmt.Sprintf("cluster-%s-dark-%t", name, dark))
	for _, wrong := range eval[[]string](p, contrasts) {
		p.t.Errorf("hard to read: %s", wrong)
	}
}

// The page of a lone hub does not show the part, nor a link to it.
func TestNoCluster(t *testing.T) {
	_, p := opened(t)
	p.until("!document.getElementById('cluster').checkVisibility() && !document.getElementById('cluster-link').checkVisibility() && !document.getElementById('cluster-notice').checkVisibility()")
}

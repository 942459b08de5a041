//go:build full

package main

import (
	"log/slog"
	"testing"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/jetstream"
	"switchyard/proxy/order/jetstream/bustest"
)

// A hub of a later release sends records that the other hubs cannot read. The traffic of the members continues, and
// another hub can enter. A hub that starts afterwards with the number of the later one ends with 78.
func TestLaterFormatOnTheBus(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, 1)
	f := startFleet(bus, 2, fleetSettings{tenants: []string{"default"}, cluster: "replicas = 1\nmember_timeout = \"1m\"\nalone_after = \"5m\"\n"})
	later, err := jetstream.Open(jetstream.Settings{Servers: bus.Servers(0), Cluster: "fleet", Tenant: "default", Hub: 3, Replicas: 1,
		LogBytes: 256 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if _, _, err := later.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	says := func(kind order.Kind) {
		number++
		b := (&order.Record{Kind: kind, Origin: order.Origin{Hub: 3, Incarnation: 1}, Number: number}).Append(nil)
		b[0] = order.Format + 1
		if err := later.Append(append(b, "what no hub of this release knows"...)); err != nil {
			t.Error(err)
		}
	}
	tr := startTraffic(f, 4, 5*time.Millisecond)
	defer tr.close()
	tr.during("a later format", func() {
		says(order.Enter)
		for _, p := range f.members {
			p.expect("a hub cannot enter the cluster", `"hub":3`, `"formats":"2-2"`)
		}
	})

	f.members = append(f.members, nil)
	f.launch(2)
	taken, ended := f.members[2], make(chan int, 1)
	taken.down = true
	go func() { ended <- taken.exit() }()
	eventually(t, func() bool {
		says(order.Beat)
		time.Sleep(200 * time.Millisecond) // a hub sends as many beats; the loop ends when the other process has
		return len(ended) > 0
	}, func() string { return "the hub whose number is taken does not end" })
	if code := <-ended; code != exitConfig {
		t.Errorf("the hub whose number is taken ends with %d", code)
	}
	for place, s := range f.atOnePosition() {
		if s.Alone > 0 || s.State != "together" || s.Ignored["malformed"] == 0 {
			t.Errorf("hub %d: %+v", place+1, s)
		}
	}
	tr.checkAccounts()
}

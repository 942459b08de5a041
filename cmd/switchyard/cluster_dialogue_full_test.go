//go:build full

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"switchyard/cmd/switchyard/dialogue"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/order/jetstream/bustest"
)

// playFleet plays all recorded dialogues at once, each in a tenant of its own and with its
// connections spread over the hubs. In the middle of all of them, interrupt is called.
func playFleet(t *testing.T, f *fleet, dialogues []dialogue.Dialogue, interrupt func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var playing, middle sync.WaitGroup
	middle.Add(len(dialogues))
	on := make(chan struct{})
	for i, d := range dialogues {
		playing.Go(func() {
			once := sync.OnceFunc(middle.Done)
			defer once()
			got, err := d.PlayOver(ctx, f.servers(dialogueTenant(i)), func(step int) {
				if step == d.Steps()/2 {
					once()
					<-on
				}
			})
			if err := errors.Join(err, dialogue.Compare(d.Want, got)); err != nil {
				t.Errorf("dialogue %s: %v", d.Name, err)
			}
		})
	}
	middle.Wait()
	interrupt()
	close(on)
	playing.Wait()
}

// servers returns the hubs as the servers of a tenant.
func (f *fleet) servers(tenant string) dialogue.Servers {
	return dialogue.Servers{Addresses: f.at(tenant), Patience: 2 * patience, Level: func(ctx context.Context) error { return f.level(ctx, tenant) }}
}

// recorded returns all recorded dialogues, and the tenants in which they are played.
func recorded(t *testing.T) (dialogues []dialogue.Dialogue, tenants []string) {
	t.Helper()
	dialogues, err := dialogue.Load("dialogue/testdata")
	if err != nil {
		t.Fatal(err)
	}
	for i := range dialogues {
		tenants = append(tenants, dialogueTenant(i))
	}
	return dialogues, tenants
}

// What plays dialogues over several hubs passes with one hub.
func TestDialoguesOverAStandIn(t *testing.T) {
	t.Parallel()
	dialogues, tenants := recorded(t)
	playFleet(t, startStandIn(t, tenants...), dialogues, func() {})
}

// Every recorded dialogue, with its connections spread over three hubs, is byte for byte as it was
// recorded from one, although the server of the bus that leads is killed in its middle.
func TestDialoguesOverHubs(t *testing.T) {
	t.Parallel()
	dialogues, tenants := recorded(t)
	bus := bustest.Start(t, 3, "--memory", "4GiB")
	f := startFleet(bus, 3, fleetSettings{tenants: tenants, cluster: "alone_after = \"5m\"\nmember_timeout = \"1m\"\nwindow = \"1MiB\"\nlog = \"32MiB\"\n"})
	playFleet(t, f, dialogues, func() {
		js := bus.Admin()
		for _, tenant := range tenants {
			bus.Lead(js, "SY_fleet_"+tenant, 0)
		}
		bus.Kill(0)
	})
	f.awaitNobody(tenants)
	for _, tenant := range tenants {
		for _, place := range f.places() {
			s, err := f.status(t.Context(), place, tenant)
			if err != nil {
				t.Fatal(err)
			}
			if s.Gone > 0 || s.Alone > 0 || s.TableMismatches > 0 {
				t.Errorf("%+v", *s)
			}
		}
	}
}

// awaitNobody waits until all hubs know that no peer is connected.
func (f *fleet) awaitNobody(tenants []string) {
	f.t.Helper()
	for _, place := range f.places() {
		var text string
		eventually(f.t, func() bool {
			s, err := f.members[place].admin.Snapshot(f.t.Context())
			text = fmt.Sprint(s, err)
			return err == nil && !slices.ContainsFunc(s.Tenants, func(t api.TenantSnapshot) bool { return t.Sessions > 0 || t.Users > 0 })
		}, func() string { return text })
	}
	for _, tenant := range tenants {
		if err := f.level(f.t.Context(), tenant); err != nil {
			f.t.Fatal(err)
		}
	}
}

// A hub that loses, doubles or changes the order of PDUs for its peers fails a dialogue.
func TestDialoguesOverHubsFindFaults(t *testing.T) {
	t.Parallel()
	dialogues, tenants := recorded(t)
	i := slices.IndexFunc(dialogues, func(d dialogue.Dialogue) bool { return d.Name == "coalesced_100" })
	for name, spoil := range spoilings {
		t.Run(name, func(t *testing.T) {
			over := startStandIn(t, tenants[i]).servers(tenants[i])
			s := &spoiler{spoil: spoil}
			s.due.Store(true)
			over.Addresses[1] = startRelay(t, over.Addresses[1], s.connection).address
			got, err := dialogues[i].PlayOver(t.Context(), over, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			if dialogue.Compare(dialogues[i].Want, got) == nil {
				t.Error("the dialogue passes")
			}
		})
	}
}

package capture

import (
	"context"
	"time"
)

// Watch calls take with the records of the sources from now on, and with how many records
// of each tenant were dropped so far. Once a second it calls take without records. It ends
// when ctx is done, or with the error of take. Hubs never wait for take. The records are
// valid during the call. Of o, Watch uses Bodies and Commands.
func Watch(ctx context.Context, sources []Source, o Options, take func(records []Record, missed []uint64) error) error {
	b := newBuffer(len(sources))
	for i, s := range sources {
		defer s.Hub.Attach(newTap(b, i, Tenant{Name: s.Name, Bodies: o.Bodies, Commands: o.Commands}))()
	}
	tick := time.NewTicker(statisticsTime)
	defer tick.Stop()
	show := func(records []Record) error {
		missed := make([]uint64, len(sources))
		for i := range missed {
			missed[i] = b.missedOf(i)
		}
		return take(records, missed)
	}
	if err := show(nil); err != nil { // the viewer learns that watching has begun
		return err
	}
	for {
		select {
		case <-b.ready:
			if err := show(b.take()); err != nil {
				return err
			}
		case <-tick.C:
			if err := show(nil); err != nil {
				return err
			}
		case <-ctx.Done():
			if records := b.take(); len(records) > 0 {
				if err := show(records); err != nil {
					return err
				}
			}
			return show(nil)
		}
	}
}

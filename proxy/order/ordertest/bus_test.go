//go:build full || race

package ordertest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

func joined(hub uint16, number uint64) []byte {
	r := order.Record{Kind: order.Joined, Origin: order.Origin{Hub: hub, Incarnation: 1}, Number: number, Session: 1}
	return r.Append(nil)
}

func begin(t *testing.T, c *ordertest.Conn, wantLast int, wantHead uint64) {
	t.Helper()
	last, head, err := c.Begin(context.Background())
	if err != nil || len(last) != wantLast || head.Sequence != wantHead {
		t.Fatalf("Begin: got %d last records, head %d, %v; want %d, %d", len(last), head.Sequence, err, wantLast, wantHead)
	}
}

// next returns the next event, or fails if there is none.
func next(t *testing.T, c *ordertest.Conn) order.Event {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-c.Events():
		return e
	default:
		t.Fatal("no event")
		return order.Event{}
	}
}

func none(t *testing.T, c *ordertest.Conn) {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-c.Events():
		t.Fatalf("got %+v, want no event", e)
	default:
	}
}

func wantEntry(t *testing.T, c *ordertest.Conn, sequence uint64) {
	t.Helper()
	if e := next(t, c); e.Kind != order.Recorded || e.Entry.Sequence != sequence {
		t.Fatalf("got %+v, want entry %d", e, sequence)
	}
}

func TestBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := ordertest.NewBus()
		a, b := bus.Conn(), bus.Conn()
		defer a.Close()
		defer b.Close()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(a.Append(joined(1, 1)))
		begin(t, a, 1, 1)
		begin(t, b, 1, 1)
		must(b.Append(joined(2, 1)))
		wantEntry(t, a, 2)
		wantEntry(t, b, 2)
		none(t, a)

		bus.SetFate(ordertest.Lost)
		must(a.Append(joined(1, 2)))
		none(t, b)
		bus.SetFate(func([]byte) (int, time.Duration) { return 2, time.Second })
		must(a.Append(joined(1, 2)))
		none(t, b)
		time.Sleep(2 * time.Second)
		wantEntry(t, b, 3)
		wantEntry(t, b, 4)
		bus.SetFate(nil)
		begin(t, b, 2, 4)

		b.Cut()
		if err := b.Append(joined(2, 2)); err != ordertest.ErrUnreached {
			t.Errorf("append while cut: %v", err)
		}
		if e := next(t, b); e.Kind != order.Unreached {
			t.Errorf("got %+v, want Unreached", e)
		}
		must(a.Append(joined(1, 3)))
		none(t, b)
		b.Heal()
		if e := next(t, b); e.Kind != order.Reached {
			t.Errorf("got %+v, want Reached", e)
		}
		wantEntry(t, b, 5)

		must(a.Append(joined(1, 4)))
		must(a.Append(joined(1, 5)))
		synctest.Wait() // one entry is offered
		begin(t, b, 2, 7)
		none(t, b)

		bus.Recreate()
		if e := next(t, b); e.Kind != order.FellOut || e.Reason != order.OtherLog {
			t.Errorf("got %+v, want to fall out", e)
		}
		must(a.Append(joined(1, 1)))
		none(t, b)
		begin(t, b, 1, 1)
		must(a.Append(joined(1, 2)))
		wantEntry(t, b, 2)
		b.FallOut(order.Incomplete)
		if e := next(t, b); e.Reason != order.Incomplete {
			t.Errorf("got %+v", e)
		}
		begin(t, b, 1, 2)
		bus.Discard()
		none(t, b)
		must(a.Append(joined(1, 3)))
		wantEntry(t, b, 3)
		if got := bus.Entries(); len(got) != 1 || got[0].Sequence != 3 {
			t.Errorf("the log holds %+v", got)
		}
	})
}

func TestStateOfBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := ordertest.NewBus()
		donor, newcomer := bus.Conn(), bus.Conn()
		defer donor.Close()
		from, to := order.Origin{Hub: 1, Incarnation: 1}, order.Origin{Hub: 2, Incarnation: 1}
		if err := donor.SendState(context.Background(), from, to, []byte("s"), true); err != ordertest.ErrUnreached {
			t.Errorf("to a hub that is not there: %v", err)
		}
		if err := newcomer.Append(joined(2, 1)); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() { sent <- donor.SendState(context.Background(), from, to, []byte("s"), true) }()
		chunk := <-newcomer.State()
		if chunk.From != from || chunk.For != to || string(chunk.Chunk) != "s" || !chunk.Last {
			t.Errorf("got %+v", chunk)
		}
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("SendState returned before the chunk was acknowledged")
		}
		if err := chunk.Ack(); err != nil {
			t.Error(err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		go func() { sent <- donor.SendState(context.Background(), from, to, []byte("s"), true) }()
		synctest.Wait()
		newcomer.Close()
		if err := <-sent; err != ordertest.ErrUnreached {
			t.Errorf("to a hub that has gone: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := donor.SendState(ctx, from, to, nil, true); err == nil {
			t.Error("no error after the time is over")
		}
	})
}

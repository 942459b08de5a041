package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// A Report is what Check found out about a bus that can be used.
type Report struct {
	Servers   int           // that answer
	RoundTrip time.Duration // of a record through a stream, the median of several
	Warnings  []string
}

// slow is the round trip above which peers notice that hubs agree before they deliver.
const slow = 20 * time.Millisecond

// Check tries what a hub needs of the bus: that servers answer and take messages that are
// large enough, that streams may be created, written and read, that hubs may send each other the
// state of a tenant, and that the streams of the tenants, where they exist, have the right settings.
// It creates a stream and deletes it again. Settings.Tenant does not matter.
func Check(ctx context.Context, settings Settings, tenants []string) (Report, error) {
	settings.Tenant = "_check" // no tenant has this name
	var report Report
	var faults []error
	var usable *Log
	for _, server := range settings.Servers {
		one := settings
		one.Servers = []string{server}
		l, err := Open(one)
		if err != nil {
			return report, err
		}
		defer l.Close()
		if err := l.answers(ctx); err != nil {
			faults = append(faults, err)
			continue
		}
		report.Servers++
		if usable == nil {
			usable = l
		}
	}
	if usable == nil {
		return report, errors.Join(faults...)
	}
	for _, fault := range faults {
		report.Warnings = append(report.Warnings, fault.Error())
	}
	for _, tenant := range tenants {
		if err := usable.checkTenant(ctx, tenant); err != nil {
			return report, err
		}
	}
	if err := usable.tryState(ctx); err != nil {
		return report, err
	}
	var err error
	if report.RoundTrip, err = usable.measure(ctx); err != nil {
		return report, err
	}
	if report.RoundTrip > slow {
		report.Warnings = append(report.Warnings, fmt.Sprintf("a record takes %v through the bus, more than %v: give its servers cores of their own, and put them near the hubs and each other", report.RoundTrip.Round(time.Millisecond/10), slow))
	}
	return report, nil
}

// answers waits until the one server of l is connected, and checks what it takes.
func (l *Log) answers(ctx context.Context) error {
	k := l.connection.Load()
	for end := time.Now().Add(2 * l.times.answer); !k.conn.IsConnected(); {
		if time.Now().After(end) || ctx.Err() != nil {
			return l.unreached()
		}
		time.Sleep(l.times.poll)
	}
	return k.largeEnough()
}

// checkTenant checks the stream of a tenant, if there is one. It borrows the connection of l: a Log of
// the tenant's own would connect once more.
func (l *Log) checkTenant(ctx context.Context, tenant string) error {
	t := &Log{settings: l.settings, times: l.times}
	t.settings.Tenant = tenant
	t.connection.Store(l.connection.Load())
	info, err := t.info(ctx, l.connection.Load(), "")
	if errors.Is(err, nats.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.suits(&info.Config)
}

// tryState sends the largest chunk of a state to this hub itself, as a donor does to a hub that enters. So
// it needs the permissions of both, and shows whether the servers take a message of that size.
func (l *Log) tryState(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-l.states:
			_ = s.Ack() // if it is lost, SendState fails
		case <-ctx.Done():
		}
	}()
	self := order.Origin{Hub: l.settings.Hub, Incarnation: 1}
	err := l.SendState(ctx, self, self, make([]byte, order.MaxStateChunk), true)
	cancel()
	<-done
	if err != nil {
		return l.refusedOr(l.connection.Load(), err)
	}
	return nil
}

// tryGet asks a stream for its first record like a hub that has missed it. Any answer will do: a
// replica may not have the record yet, and the servers need a moment to know who answers.
func (l *Log) tryGet(ctx context.Context, k *connection, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	for {
		_, err := k.conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream, []byte(`{"seq":1}`))
		if err == nil {
			return nil
		}
		if !errors.Is(err, nats.ErrNoResponders) || ctx.Err() != nil {
			return l.refusedOr(k, fmt.Errorf("get a record of a stream for trial: %w", plain(err)))
		}
		time.Sleep(l.times.poll)
	}
}

// refusedOr returns err, with what the bus has refused if it has.
func (l *Log) refusedOr(k *connection, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refused == nil {
		return err
	}
	return fmt.Errorf("%w: %w: %s", err, k.refused, l.permissions())
}

// measure creates a stream, sends records through it, deletes it, and returns the median of
// the round trips. The stream has a name of its own, so that two checks at once, or one beside hubs that
// run, do not meet. A check that is killed leaves a small stream of that name behind.
func (l *Log) measure(ctx context.Context) (_ time.Duration, err error) {
	k := l.connection.Load()
	ctx, cancel := context.WithTimeout(ctx, 5*l.times.answer)
	defer cancel()
	c := l.settings.config()
	unique := nats.NewInbox()[len(nats.InboxPrefix):]
	c.Name += "_" + unique
	subject := l.settings.subject("in." + unique)
	c.Subjects, c.RePublish = []string{subject}, nil
	// The bus may have created the stream although its answer was late, and has to delete it although
	// the time for the trial is over.
	defer func() {
		if e := l.remove(context.WithoutCancel(ctx), k, c.Name); e != nil && err == nil {
			err = l.explain(k, "delete stream "+c.Name+", which was created for trial", e)
		}
	}()
	if _, err := k.js.AddStream(c, nats.Context(ctx)); err != nil {
		return 0, l.explain(k, "create a stream for trial", err)
	}
	trip, err := median(l.times.answer, func() error {
		if _, err := k.js.Publish(subject, make([]byte, 200), nats.Context(ctx)); err != nil {
			return l.explain(k, "append a record to a stream for trial", err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return trip, l.tryGet(ctx, k, c.Name)
}

// median returns the median time of several trips, of fewer if they take longer than enough.
func median(enough time.Duration, trip func() error) (time.Duration, error) {
	var times []time.Duration
	for start := time.Now(); len(times) == 0 || len(times) < 15 && time.Since(start) < enough; {
		begun := time.Now()
		if err := trip(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// remove deletes a stream.
func (l *Log) remove(ctx context.Context, k *connection, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	return k.js.DeleteStream(stream, nats.Context(ctx))
}

package server

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"switchyard/proxy/hub"
)

// Only what is discarded during the stop makes it fail: neither copies of tenants that ended
// before it, nor what a tenant had discarded before its drain.
func TestUnwritten(t *testing.T) {
	type counts = map[hub.Reason]uint64
	var u unwritten
	for _, c := range []struct {
		name          string
		begin         bool // before the call of add
		before, after counts
		want          counts // so far
	}{
		{"before the stop", false, nil, counts{hub.SlowConsumer: 5}, nil},
		{"nothing new", true, counts{hub.SlowConsumer: 5}, counts{hub.SlowConsumer: 5}, nil},
		{"some new", false, counts{hub.SlowConsumer: 5}, counts{hub.SlowConsumer: 7, hub.Forced: 1}, counts{hub.SlowConsumer: 2, hub.Forced: 1}},
		{"of another tenant", false, nil, counts{hub.Forced: 2}, counts{hub.SlowConsumer: 2, hub.Forced: 3}},
	} {
		if c.begin {
			u.begin()
		}
		u.add(c.before, hub.Counts{Discarded: c.after})
		if err := u.err(); errors.Is(err, ErrForced) != (len(c.want) > 0) || !maps.Equal(u.copies, c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, u.copies, err, c.want)
		}
	}
}

// What a hub of a cluster has received and not read back from the bus may reach nobody.
func TestUnderwayAtTheEnd(t *testing.T) {
	var u unwritten
	u.add(nil, hub.Counts{Underway: 7}) // of a tenant that was removed earlier
	u.begin()
	u.add(nil, hub.Counts{})
	if err := u.err(); err != nil {
		t.Errorf("error %v with nothing under way", err)
	}
	u.add(nil, hub.Counts{Underway: 5})
	if err := u.err(); !errors.Is(err, ErrForced) || !strings.HasSuffix(err.Error(), ": 5") {
		t.Errorf("error %v, want 5 PDUs", err)
	}
}

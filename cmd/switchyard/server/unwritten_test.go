package server

import (
	"errors"
	"maps"
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
		u.add(c.before, c.after)
		if err := u.err(); errors.Is(err, ErrForced) != (len(c.want) > 0) || !maps.Equal(u.copies, c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, u.copies, err, c.want)
		}
	}
}

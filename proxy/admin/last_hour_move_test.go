package admin

import (
	"encoding/json"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
)

// The process that takes over in an upgrade continues with the charts of the last hour. It shows what
// happened while neither process took samples.
func TestLastHourMoves(t *testing.T) {
	t.Parallel()
	begin := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	pdus, probe := uint64(0), 0.25
	samplesOf := func(t Tenant) *sample {
		return &sample{hub: t.Hub(), counts: amounts{pdusIn: pdus, bytesOut: 7 * pdus}, probe: &probe}
	}
	add := func(l *lastHour, n int, tenants ...Tenant) {
		l.add(begin.Add(time.Duration(n)*10*time.Second), tenants, samplesOf, &api.Latency{P50: 1, P99: 2, Max: 3})
	}
	var old lastHour
	if h := old.export(""); h != nil {
		t.Errorf("before the first sample there is %+v", h)
	}
	before := newTenant(t, "acme", consume{})
	for n := range keptPoints + 30 {
		pdus += 100
		add(&old, n, before)
	}
	hours := map[string]*Hour{"": old.export(""), "acme": old.export("acme"), "gone": old.export("gone")}
	if hours["gone"] != nil {
		t.Errorf("of a tenant that is not there: %+v", hours["gone"])
	}
	text, err := json.Marshal(hours)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 80_000 {
		t.Errorf("two full hours take %d bytes", len(text))
	}
	received := func() (all map[string]*Hour) {
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}

	var l lastHour
	l.continueFrom(received())
	for _, name := range []string{"", "acme"} {
		was, is := old.of(name), l.of(name)
		if len(is) != len(was) {
			t.Fatalf("%d points of %q, want %d", len(is), name, len(was))
		}
		for i := range was {
			if was[i].at = was[i].at.Local(); was[i] != is[i] {
				t.Fatalf("point %d of %q: %+v, want %+v", i, name, is[i], was[i])
			}
		}
	}
	pdus += 400
	after, other := newTenant(t, "acme", consume{}), newTenant(t, "other", consume{})
	add(&l, keptPoints+29+2, after, other) // 20 s later
	points, all := l.of("acme"), l.of("")
	if last := points[len(points)-1]; len(points) != keptPoints || last.rates[0] != 20 || last.p50 != 0.25 {
		t.Errorf("%d points, the last is %+v", len(points), last)
	}
	if last := all[len(all)-1]; len(all) != keptPoints || last.rates[0] != 20 || len(l.of("other")) != 0 {
		t.Errorf("%d points of all, the last is %+v; %d of a new tenant", len(all), last, len(l.of("other")))
	}
	add(&l, keptPoints+32, newTenant(t, "acme", consume{}))
	if n := len(l.of("acme")); n != 0 {
		t.Errorf("%d points of a tenant that began again", n)
	}

	var behind lastHour // its clock is behind that of the other process
	behind.continueFrom(received())
	add(&behind, 10, after)
	add(&behind, 11, after)
	if points := behind.of("acme"); len(points) != keptPoints || points[keptPoints-1].rates[0] != 0 || points[keptPoints-2].at.Before(begin.Add(time.Hour)) {
		t.Errorf("after the clock went back: %d points, the last are %+v", len(points), points[len(points)-2:])
	}
}

// Whatever another process says, series stay bounded.
func TestLastHourOfAnotherProcess(t *testing.T) {
	t.Parallel()
	var l lastHour
	many := make([]point, 5*keptPoints)
	for i := range many {
		many[i].lag = uint64(i)
	}
	l.continueFrom(map[string]*Hour{"": {Points: many}, "acme": nil, "other": {}})
	if points := l.of(""); len(points) != keptPoints || cap(points) > 2*keptPoints || points[keptPoints-1].lag != uint64(len(many)-1) {
		t.Errorf("%d points, the last is %+v", len(points), points[len(points)-1])
	}
	if len(l.of("acme"))+len(l.of("other")) != 0 {
		t.Error("there are points of tenants that had none")
	}
	var p point
	for _, text := range []string{`"x"`, `{}`, `[1,"x"]`} {
		if json.Unmarshal([]byte(text), &p) == nil {
			t.Errorf("%s is a point", text)
		}
	}
	if err := json.Unmarshal([]byte(`[0,0,0,0,0,-5,0,0,0]`), &p); err != nil || p.lag != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

package admin

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// An Hour is what is known of the last hour of a tenant, or of all together, for another process that
// continues from it. It is encoded as JSON. Its fields' names do not change.
type Hour struct {
	Last   time.Time // of the last point, or of the counts below if there is none yet
	Before [4]uint64 // counts at that time: PDUs in, bytes in, PDUs out, bytes out; of a tenant
	Points []point   // the earliest first
}

// MarshalJSON writes a point as [milliseconds since 1970, PDUs in, bytes in, PDUs out, bytes out, lag, p50,
// p99, most], because there may be 360 of them for each tenant.
func (p point) MarshalJSON() ([]byte, error) {
	return json.Marshal([...]float64{float64(p.at.UnixMilli()), float64(p.rates[0]), float64(p.rates[1]), float64(p.rates[2]), float64(p.rates[3]),
		float64(p.lag), float64(p.p50), float64(p.p99), float64(p.most)})
}

// UnmarshalJSON reads what MarshalJSON writes. A lag below 0 becomes 0, one that is too large the largest.
func (p *point) UnmarshalJSON(text []byte) error {
	var v [9]float64
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*p = point{at: time.UnixMilli(int64(v[0])), rates: [4]float32{float32(v[1]), float32(v[2]), float32(v[3]), float32(v[4])},
		lag: uint64(min(max(v[5], 0), math.MaxInt64)), p50: float32(v[6]), p99: float32(v[7]), most: float32(v[8])}
	return nil
}

// LastHour returns the last hour of a tenant, or of all together if the name is empty; nil if there is
// none.
func (s *Server) LastHour(tenant string) *Hour { return s.hour.export(tenant) }

// export is LastHour. Round takes the monotonic clock out of the time, which no other process has.
func (l *lastHour) export(tenant string) *Hour {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.sum
	if tenant != "" {
		r = l.tenants[tenant]
	}
	if r == nil || l.last.IsZero() {
		return nil
	}
	b := r.before
	return &Hour{Last: l.last.Round(0), Before: [4]uint64{b.pdusIn, b.bytesIn, b.pdusOut, b.bytesOut}, Points: slices.Clone(r.points)}
}

// continueFrom makes a new lastHour continue from those of another process, by tenant; "" is all
// together. The hubs of the tenants count on from what they had counted there.
func (l *lastHour) continueFrom(hours map[string]*Hour) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tenants = make(map[string]*series)
	for tenant, h := range hours {
		if h == nil {
			continue
		}
		l.last = h.Last
		r := &l.sum
		if tenant != "" {
			r = new(series)
			l.tenants[tenant] = r
		}
		r.before = amounts{h.Before[0], h.Before[1], h.Before[2], h.Before[3]}
		for _, p := range h.Points[max(0, len(h.Points)-keptPoints):] {
			r.add(p)
		}
	}
}

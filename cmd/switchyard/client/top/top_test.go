package top

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"switchyard/proxy/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a server whose counts grow with time: acme's by 100 PDUs of 50 bytes a
// second, beta's not at all.
type fake struct {
	start  time.Time
	panics int // the question that makes it panic; 0 is none

	mu    sync.Mutex // guards what follows
	fail  error      // instead of a snapshot
	hang  bool       // instead of an answer
	asked []string   // sort of each question for connections
}

// becomes makes it answer otherwise from now on.
func (f *fake) becomes(fail error, hang bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.hang = fail, hang
}

func (f *fake) Server() string { return "127.0.0.1:8280" }

func (f *fake) Snapshot(ctx context.Context) (*api.Snapshot, error) {
	f.mu.Lock()
	fail, hang, asked := f.fail, f.hang, len(f.asked)
	f.mu.Unlock()
	if asked+1 == f.panics {
		panic("on purpose")
	}
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	n := uint64(time.Since(f.start) / (10 * time.Millisecond))
	return &api.Snapshot{Time: time.Now(), UptimeSeconds: 90061, Tenants: []api.TenantSnapshot{
		{Tenant: "acme", Sessions: 2, Users: 12, Received: 1000 + n, Delivered: 3 * n, Dropped: map[string]uint64{"policy": n / 2, "log-full": n / 10}, Lost: n / 10, BytesIn: 50 * n, BytesOut: 150 * n,
			Lag: 2048, Rates: api.Rates{PDUsIn: 1}, Policy: api.Policy{Name: "teamtalk", SHA256: "0123456789abcdef"},
			Commands: []api.CommandTraffic{
				{Command: "CID_MSG_DATA", ID: 0x301, PDUs: 1000 + n, Bytes: 50 * n, Rate: 2, Actions: map[string]uint64{"drop": n / 2, "broadcast-all": 1000 + n}},
				{Command: "CID_OTHER_HEARTBEAT", ID: 0x701, PDUs: 7, Bytes: 112},
			}},
		{Tenant: "beta", Lag: 1 << 20, Paused: 1, Policy: api.Policy{Name: "file:\x1b[2J.toml"}},
	}}, fail
}

func (f *fake) Connections(_ context.Context, tenants []string, sort string, limit int) (*api.Connections, error) {
	f.mu.Lock()
	f.asked = append(f.asked, sort)
	f.mu.Unlock()
	n := uint64(time.Since(f.start) / (10 * time.Millisecond))
	all := &api.Connections{Total: 31, Connections: []api.Connection{
		{Tenant: "acme", Session: 1, Peer: "10.0.0.1:1", Since: f.start, Master: true, PDUsIn: n, BytesIn: 50 * n, Rates: api.Rates{PDUsIn: 4}},
		{Tenant: "beta", Session: 9, Peer: "10.0.0.2:1", Since: f.start, Lag: 1 << 20, Standby: true, Paused: true, Groups: []string{"admin", "archive"}, Identities: []string{"cn:x\u009b"}},
	}}
	if len(tenants) > 0 {
		all.Connections = slices.DeleteFunc(all.Connections, func(c api.Connection) bool { return !slices.Contains(tenants, c.Tenant) })
	}
	return all, nil
}

var options = Options{Sort: ByRate, Interval: 2 * time.Second, Limit: 20}

// Rates are of the time between the samples.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Once(t.Context(), &fake{start: time.Now()}, options)
		if err != nil {
			t.Fatal(err)
		}
		want := api.Rates{PDUsIn: 100, BytesIn: 5000, PDUsOut: 300, BytesOut: 15000}
		if a := s.Tenants[0]; s.Seconds != 2 || a.Tenant != "acme" || a.Rates != want || a.DropRate != 60 || a.Dropped != 120 || a.LostRate != 10 || a.Lost != 20 || s.Rates != want {
			t.Errorf("over %v s: %+v, all %+v, want %+v", s.Seconds, a, s.Rates, want)
		}
		if c := s.Commands[0]; c.Command != "CID_MSG_DATA" || c.Rate != 100 || c.ByteRate != 5000 || c.PDUs != 1200 {
			t.Errorf("%+v", c)
		}
		if c := s.Commands[1]; c.Rate != 0 || c.PDUs != 7 {
			t.Errorf("%+v", c)
		}
		if p := s.Peers[0]; p.Session != 1 || p.Rates != (api.Rates{PDUsIn: 100, BytesIn: 5000}) || s.Sessions != 31 {
			t.Errorf("%+v", p)
		}
	})
}

// What was not there before, or was made again, has the rates that the server says.
func TestRatesOfWhatIsNew(t *testing.T) {
	now := time.Now()
	at := func(second int, received, said uint64, since time.Time) *sample {
		return &sample{now.Add(time.Duration(second) * time.Second),
			&api.Snapshot{Time: now.Add(time.Duration(second) * time.Second), Tenants: []api.TenantSnapshot{{Tenant: "a", Received: received, Rates: api.Rates{PDUsIn: 7},
				Commands: []api.CommandTraffic{{Command: "X", PDUs: received, Rate: 8}}}}},
			&api.Connections{Connections: []api.Connection{{Tenant: "a", Session: 1, PDUsIn: said, Since: since, Rates: api.Rates{PDUsIn: 9}}}}}
	}
	for _, c := range []struct {
		name         string
		before       *sample
		want         [3]float64
		sinceSeconds float64
	}{
		{"it grew", at(0, 10, 20, now), [3]float64{5, 5, 10}, 2},
		{"there is no other", nil, [3]float64{7, 8, 9}, 0},
		{"at the same time", at(2, 10, 20, now), [3]float64{7, 8, 9}, 0},
		{"time went backwards", at(3, 10, 20, now), [3]float64{7, 8, 9}, 0},
		{"made again", at(0, 30, 50, now.Add(-time.Hour)), [3]float64{7, 8, 9}, 2},
	} {
		s := compare("", c.before, at(2, 20, 40, now))
		if got := [3]float64{s.Tenants[0].Rates.PDUsIn, s.Commands[0].Rate, s.Peers[0].Rates.PDUsIn}; got != c.want || s.Seconds != c.sinceSeconds {
			t.Errorf("%s: rates %v over %v s, want %v over %v s", c.name, got, s.Seconds, c.want, c.sinceSeconds)
		}
	}
}

func TestOnceOfOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Tenants = []string{"beta"}
		s, err := Once(t.Context(), &fake{start: time.Now()}, o)
		if err != nil || len(s.Tenants) != 1 || s.Tenants[0].Tenant != "beta" || len(s.Peers) != 1 || s.Rates != (api.Rates{}) {
			t.Fatalf("%+v, %v", s, err)
		}
		text, err := json.Marshal(s)
		if err != nil || !strings.Contains(string(text), `"commands":[]`) {
			t.Errorf("%s, %v", text, err)
		}
	})
}

func TestOnceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{start: time.Now(), fail: errors.New("nobody there")}
		if _, err := Once(t.Context(), f, options); err != f.fail {
			t.Errorf("it says %v", err)
		}
		for _, f := range []*fake{{hang: true}, {}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := Once(ctx, f, options); err != ErrInterrupted {
				t.Errorf("it says %v, want %v", err, ErrInterrupted)
			}
			cancel()
		}
	})
}

// The names in JSON are what scripts go by.
func TestNamesInJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Once(t.Context(), &fake{start: time.Now()}, options)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		for where, c := range map[string]struct {
			of   any
			want string
		}{
			"all":     {got, "commands draining latency peers rates seconds server sessions tenants time uptime_seconds"},
			"tenant":  {got["tenants"].([]any)[0], "drop_rate dropped lag lags log lost lost_rate paused policy rates received sessions tenant users"},
			"command": {got["commands"].([]any)[0], "actions byte_rate bytes command id pdus rate tenant"},
			"peer":    {got["peers"].([]any)[0], "bytes_in bytes_out groups identities lag master over_limit paused pdus_in pdus_out peer rates session since standby tenant users"},
			"rates":   {got["rates"], "bytes_in bytes_out pdus_in pdus_out"},
		} {
			var names []string
			for name := range c.of.(map[string]any) {
				names = append(names, name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%s: %s, want %s", where, got, c.want)
			}
		}
	})
}

const printed = `switchyard 127.0.0.1:8280   up 1d1h   31 peers   in 100/s 4.9KiB/s   out 300/s 14.6KiB/s   p99 1.23ms
draining: the server stops

TENANT    PEERS      LAG     IN/S  BYTES/S    OUT/S  BYTES/S   LOST/S   PAUSED    USERS      LOG  POLICY               SHA256
acme          2   2.0KiB      100   4.9KiB      300  14.6KiB       10        0       12       0B  teamtalk             01234567
beta          0   1.0MiB        0       0B        0       0B        0        1        0       0B  file:\u001b[2J.toml

COMMAND              TENANT     IN/S  BYTES/S     PDUS  ACTIONS
CID_MSG_DATA         acme        100   4.9KiB     1200  broadcast-all 1200, drop 100
CID_OTHER_HEARTBEAT  acme          0       0B        7

PEER (2 of 31)  TENANT  SESSION      LAG     IN/S  BYTES/S    OUT/S  BYTES/S    USERS  STATE           GROUPS         IDENTITY
10.0.0.1:1      acme          1       0B      100   4.9KiB        0       0B        0  master
10.0.0.2:1      beta          9   1.0MiB        0       0B        0       0B        0  standby paused  admin archive  cn:x\u009b
`

func TestPrint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Once(t.Context(), &fake{start: time.Now()}, options)
		if err != nil {
			t.Fatal(err)
		}
		s.Draining = true
		s.Latency = &api.Latency{P99: 0.001234}
		var b strings.Builder
		if err := s.Print(&b, 2); err != nil || b.String() != printed {
			t.Errorf("it prints, with %v,\n%s\nwant\n%s", err, b.String(), printed)
		}
		b.Reset()
		if err := s.Print(&b, 1); err != nil || !strings.Contains(b.String(), "\nTENANT (1 of 2) ") || !strings.Contains(b.String(), "\nPEER (1 of 31) ") {
			t.Errorf("%v\n%s", err, b.String())
		}
	})
}

func TestNumbers(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 0.04: "0.0", 3.14: "3.1", 9.96: "10", 1234: "1234", 9999: "9999", 12345: "12.3k", 123456: "123k", 999600: "1.0M", 1e6: "1.0M", 2.5e9: "2.5G", 1e30: "1000000000000E"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%v) is %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 7: "7", 10: "10", 12345: "12.3k"} {
		if got := whole(n); got != want {
			t.Errorf("whole(%v) is %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 1 << 20: "1.0MiB", 200 << 20: "200MiB", 5 << 30: "5.0GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%v) is %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{-1: "0s", 6: "6s", 66: "1m6s", 3700: "1h1m", 90061: "1d1h", 1e300: "11574d1h"} {
		if got := since(n); got != want {
			t.Errorf("since(%v) is %s, want %s", n, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		rows        int
		wants, want []int
	}{
		{30, []int{1, 2, 3}, []int{1, 2, 3}},
		{30, []int{100, 100, 100}, []int{10, 10, 10}},
		{30, []int{2, 3, 100}, []int{2, 3, 25}},
		{31, []int{100, 3, 4}, []int{24, 3, 4}},
		{2, []int{5, 5, 5}, []int{0, 0, 2}},
		{-4, []int{5, 5, 5}, []int{0, 0, 0}},
	} {
		if got := share(c.rows, c.wants); !slices.Equal(got, c.want) {
			t.Errorf("%d rows for %v are %v, want %v", c.rows, c.wants, got, c.want)
		}
	}
}

// A page fits its window, whatever that is, and its last line says what to do.
func TestPageFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Once(t.Context(), &fake{start: time.Now()}, options)
		if err != nil {
			t.Fatal(err)
		}
		for rows := 1; rows < 40; rows++ {
			lines := page(s, view{ByLag, time.Second, nil}, rows)
			if len(lines) != rows {
				t.Errorf("%d lines for %d rows", len(lines), rows)
			}
			if foot := spell(lines[len(lines)-1:]); foot != "q quit   every 1s   sorted by r: rate  [l: lag]  n: name\n" {
				t.Errorf("the foot is %q", foot)
			}
		}
	})
}

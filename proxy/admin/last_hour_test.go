package admin

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/proxy/admin/api"
)

// Series hold an hour and no more, a tenant that begins again has a new series, and one that is gone
// has none.
func TestLastHourIsBounded(t *testing.T) {
	t.Parallel()
	old, again, other := newTenant(t, "acme", consume{}), newTenant(t, "acme", consume{}), newTenant(t, "other", consume{})
	var l lastHour
	begin := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	pdus := uint64(0)
	probe := 0.001
	samplesOf := func(t Tenant) *sample {
		return &sample{hub: t.Hub(), counts: amounts{pdusIn: pdus, bytesOut: 7 * pdus}, probe: &probe}
	}
	add := func(n int, tenants ...Tenant) {
		l.add(begin.Add(time.Duration(n)*10*time.Second), tenants, samplesOf, &api.Latency{P50: 1, P99: 2, Max: 3})
	}
	for n := range keptPoints + 30 {
		pdus += 100
		add(n, old, other)
	}
	for _, name := range []string{"acme", ""} {
		points := l.of(name)
		if len(points) != keptPoints {
			t.Fatalf("%d points of %q, want those of an hour", len(points), name)
		}
		if got := points[len(points)-1].at.Sub(points[0].at); got != time.Hour-10*time.Second {
			t.Errorf("the points of %q are %v apart", name, got)
		}
	}
	if room := max(cap(l.sum.points), cap(l.tenants["acme"].points)); room != keptPoints {
		t.Errorf("a series has memory for %d points, want %d, as the documents say", room, keptPoints)
	}
	last := l.of("acme")[359]
	if last.rates != [4]float32{10, 0, 0, 70} || last.p50 != 0.001 {
		t.Errorf("the last point of a tenant is %+v", last)
	}
	if sum := l.of("")[359]; sum.rates != [4]float32{20, 0, 0, 140} || sum.p50 != 1 || sum.most != 3 {
		t.Errorf("the last point of all is %+v", sum)
	}
	pdus += 100
	add(keptPoints+30, again) // counts of another hub say nothing about it
	if n, gone := len(l.of("acme")), len(l.of("other")); n != 0 || gone != 0 {
		t.Errorf("%d points of a new tenant, %d of one that is gone", n, gone)
	}
	pdus += 50
	add(keptPoints+31, again)
	if points := l.of("acme"); len(points) != 1 || points[0].rates[0] != 5 {
		t.Errorf("points of a new tenant: %+v", points)
	}
}

// The marks are of the server and of the tenant that was asked about, in the order of time.
func TestMarks(t *testing.T) {
	t.Parallel()
	f := startAt(t, patient, Options{}, func(facts *fake) {
		facts.state.Marks = []api.Mark{{Time: time.Now().Add(-2 * time.Hour), Kind: api.MarkStart, Text: "long ago"},
			{Time: time.Now().Add(-time.Minute), Kind: api.MarkReload, Text: "configuration reloaded: log.level"}}
		facts.state.Tenants = append(facts.state.Tenants, newTenant(t, "other", consume{}))
		facts.History.InForce("default", policy.NewGeneration("file:a.toml", "", consume{}), api.PolicyEvent{})
		facts.History.Refused("other", "file:b.toml", "", net.ErrClosed)
	}, listen(t, "tcp", "127.0.0.1:0"))
	texts := func(query string) string {
		var h api.LastHour
		f.tell("/api/v1/last-hour"+query, &h)
		var all []string
		for _, m := range h.Marks {
			all = append(all, m.Kind+" "+m.Tenant+" "+m.Text)
		}
		return strings.Join(all, "\n")
	}
	reload, policy, refused := "reload  configuration reloaded: log.level", "policy default policy file:a.toml in force", "refused other policy file:b.toml refused"
	if got, want := texts(""), strings.Join([]string{reload, policy, refused}, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := texts("?tenant=other"), reload+"\n"+refused; got != want {
		t.Errorf("of one tenant, got\n%s\nwant\n%s", got, want)
	}
}

// A client learns what it may do before it tries.
func TestServerSaysWhatTheClientMay(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	var got api.Server
	f.tell("/api/v1/server", &got)
	if got.Right != "read" || got.Version != "v9" || got.Configuration.Restart[0] != "log.format" {
		t.Errorf("without a token: %+v", got)
	}
	r := f.ask("GET", "/api/v1/server", "Authorization: Bearer "+f.token)
	if text := f.read(r); r.StatusCode != http.StatusOK || !strings.Contains(text, `"right": "operate"`) {
		t.Errorf("with the operate token: %d %s", r.StatusCode, text)
	}
}

// Sessions that ended are listed with the reason, the latest first.
func TestDisconnects(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	l := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	for _, first := range []string{"\x00", "GET / HTTP/1.0\r\n\r\n"} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan bool)
		if err := f.tenant.Served.Serve(server, func(bool) { close(ended) }); err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(first))
		conn.(*net.TCPConn).CloseWrite()
		<-ended
	}
	var got api.Disconnects
	f.tell("/api/v1/disconnects?tenant=default", &got)
	if len(got.Disconnects) != 2 {
		t.Fatalf("got %+v", got)
	}
	http, plain := got.Disconnects[0], got.Disconnects[1]
	if http.Reason != "http" || !http.Warning || http.Error == "" || http.Listener != l.Addr().String() || plain.Reason != "peer-closed" || plain.Warning || plain.Until.After(http.Until) {
		t.Errorf("got %+v", got)
	}
}

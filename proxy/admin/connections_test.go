package admin

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/hub"
)

// Sessions are sorted by rate, by lag or by number, and have the figures of their peers.
func TestConnections(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	type connections struct {
		Total       int
		Connections []api.Connection
	}
	var all connections
	f.tell("/api/v1/connections", &all)
	if all.Total != 3 || len(all.Connections) != 3 {
		t.Fatalf("got %d of %d", len(all.Connections), all.Total)
	}
	for i, c := range all.Connections {
		if c.Session != uint64(i+1) || c.PDUsIn != 3 || c.BytesIn == 0 || c.Users != 2 || time.Since(c.Since) > time.Minute || c.TLS != nil || len(c.Identities) > 0 {
			t.Errorf("got %+v", c)
		}
	}
	sessions := f.tenant.Served.Sessions()
	if len(sessions) != 3 {
		t.Fatalf("%d sessions", len(sessions))
	}
	// The second one speaks for a while.
	var second guest
	second.Seat = f.hub.Join(second)
	var fastest connections
	f.await("rates are known", func() bool {
		f.hub.Handle(second.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1, 16, 7}))
		fastest = connections{}
		f.tell("/api/v1/connections?sort=rate&limit=1", &fastest)
		return fastest.Connections[0].Rates.PDUsOut > 0
	})
	if fastest.Total != 3 || len(fastest.Connections) != 1 {
		t.Errorf("got %+v", fastest)
	}
	var tenants struct {
		Tenants []struct {
			Rates        api.Rates
			ProbeSeconds *float64 `json:"probe_seconds"`
		}
	}
	f.await("the tenant has rates", func() bool {
		f.hub.Handle(second.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1, 16, 7}))
		f.tell("/api/v1/tenants", &tenants)
		one := tenants.Tenants[0]
		return one.Rates.PDUsIn > 0 && one.Rates.BytesIn > one.Rates.PDUsIn && one.ProbeSeconds != nil
	})
	var routes api.Routes
	// The peer speaks on meanwhile: extracting the table can take longer than the time between two
	// samples, of which the last one counts.
	stop, speaking := make(chan struct{}), sync.WaitGroup{}
	speaking.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f.hub.Handle(second.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1, 16, 7}))
			case <-stop:
				return
			}
		}
	})
	defer speaking.Wait()
	defer close(stop)
	f.await("the command has a rate", func() bool {
		routes = api.Routes{}
		f.tell("/api/v1/routes", &routes)
		return slices.ContainsFunc(routes.Routes, func(r api.Route) bool { return r.Command == "CID_MSG_DATA" && r.Rate > 0 })
	})
	found := 0
	for _, r := range routes.Routes {
		switch {
		case r.Command == "CID_MSG_DATA" && r.PDUs > 3 && r.Rate > 0 && r.Actions["broadcast-except-sender"] == r.PDUs && r.Decision.Action == "broadcast-except-sender":
			found++
		case r.Command == "else" && r.PDUs == 3 && r.Bytes == 48 && r.Actions["drop"] == 3:
			found++
		case r.Command != "CID_MSG_DATA" && r.Command != "else" && r.Command != "CID_OTHER_ONLINE_USER_INFO" && r.PDUs > 0:
			t.Errorf("got %+v", r)
		}
	}
	if found != 2 {
		t.Errorf("got %+v", routes.Routes)
	}
	var presence api.Presence
	f.tell("/api/v1/presence?user=7", &presence)
	if presence.Users != 4 || presence.Entries != 6 || !presence.User.Present || len(presence.User.Holders) != 3 || presence.User.Holders[0].Peer != all.Connections[0].Peer {
		t.Errorf("got %+v, %+v", presence, presence.User)
	}
}

// A TLS session is listed with its client's identities.
func TestSecuredConnection(t *testing.T) {
	f := start(t, patient)
	ca := authority.New(t, "clients")
	l := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "hub.example",
			Certificates: []tls.Certificate{ca.Client("north.acme", "spiffe://example.org/acme/north").TLS()}})
		if err == nil {
			defer conn.Close()
			conn.Write(pdutest.Heartbeat())
			conn.Read(make([]byte, 1)) // until the server closes
		}
		done <- err
	}()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{ca.Server("hub.example").TLS()}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := f.tenant.Served.Serve(conn, func(bool) {}); err != nil {
		t.Fatal(err)
	}
	var list struct{ Connections []api.Connection }
	f.await("the session is listed", func() bool {
		f.tell("/api/v1/connections", &list)
		return len(list.Connections) == 1
	})
	c := list.Connections[0]
	if c.TLS == nil || c.TLS.Version != "TLS 1.3" || c.TLS.ServerName != "hub.example" || !slices.Contains(c.Identities, "uri:spiffe://example.org/acme/north") {
		t.Errorf("got %+v, %+v", c, c.TLS)
	}
	f.tenant.Served.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An operator closes one peer, which is logged with who and why; the others stay.
func TestCloseConnection(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	token := "Bearer " + f.token
	ask := func(body, token string) (status int, text string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+f.Addrs()[0].String()+"/api/v1/connections/close", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", token)
		answer, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, f.read(answer)
	}
	if status, _ := ask(`{"session":2}`, "Bearer wrong"); status != 401 {
		t.Errorf("with a wrong token: %d", status)
	}
	if status, text := ask(`{"session":2,"reason":"`+strings.Repeat("x", maxReason+1)+`"}`, token); status != 400 || !strings.Contains(text, "reason: write at most") {
		t.Errorf("with a long reason: %d %s", status, text)
	}
	before, _ := f.options.Lines.after(0)
	status, text := ask(`{"tenant":"acme","session":2,"reason":"it hangs"}`, token)
	if status != 200 || !strings.Contains(text, `"session": 2`) || !strings.Contains(text, `"peer": "127.0.0.1:`) {
		t.Errorf("got %d %s", status, text)
	}
	f.await("the session has ended", func() bool {
		c := f.hub.Counts()
		return c.Sessions == 2 && c.Closed[hub.ByOperator] == 1
	})
	lines, _ := f.options.Lines.after(before[len(before)-1].ID)
	logged := slices.ContainsFunc(lines, func(l api.Line) bool {
		a := string(l.Attributes)
		return l.Message == "admin request" && strings.Contains(a, `"request":"close"`) && strings.Contains(a, `"session":2`) && strings.Contains(a, `"by":"token"`) && strings.Contains(a, `"reason":"it hangs"`)
	})
	if !logged {
		t.Errorf("the log has %+v", lines)
	}
	if status, text := ask(`{"session":2}`, token); status != 404 || !strings.Contains(text, "tenant acme has no session 2") {
		t.Errorf("the second time: %d %s", status, text)
	}
}

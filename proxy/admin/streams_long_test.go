//go:build full || race

package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/proxy/admin/api"
)

// Everything is asked at once, while peers speak and policies are exchanged.
func TestTogether(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	var done sync.WaitGroup
	until := time.Now().Add(time.Second)
	loop := func(do func(i int)) {
		done.Go(func() {
			for i := 0; time.Now().Before(until); i++ {
				do(i)
			}
		})
	}
	loop(func(int) {
		peer := guest{hub: f.hub}
		peer.Seat = f.hub.Join(peer)
		f.hub.Handle(peer.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 1, nil))
		f.hub.Handle(peer.Seat, pdutest.Online(stat(3)))
		f.hub.Leave(peer.Seat)
		peer.Release("test")
	})
	loop(func(i int) {
		g := policy.NewGeneration(fmt.Sprint("policy ", i), "", consume{})
		f.tenant.Active.Install(g)
		f.options.History.InForce("acme", g, api.PolicyEvent{})
		f.options.History.Refused("acme", "file:x", "", errors.New(fmt.Sprint(i)))
		time.Sleep(time.Millisecond)
	})
	// The server closes a waiting connection of a client that has more than its share, also
	// while a request is on its way.
	few := &http.Transport{MaxConnsPerHost: maxOfClient / 4}
	defer few.CloseIdleConnections()
	client := &http.Client{Transport: few}
	for _, v := range visits {
		if v.path == "/api/v1/capture" || v.path == "/api/v1/tap" || v.path == "/api/v1/events" || v.status != 200 {
			continue
		}
		loop(func(int) {
			r, err := http.NewRequestWithContext(t.Context(), v.method, "http://"+f.Addrs()[0].String()+v.path+"?"+v.query, strings.NewReader(v.body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+f.token)
			r.Header.Set("Content-Type", v.kind)
			response, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			// The exchanged policies are not guests, so they cannot be explained.
			if response.StatusCode != 200 && response.StatusCode != 429 && response.StatusCode != 404 || err != nil {
				t.Errorf("%s: %d %s, %v", v.path, response.StatusCode, text, err)
			}
		})
	}
	for range 3 {
		done.Go(func() {
			r := f.ask("GET", "/api/v1/events")
			n := 0
			for e := range eventsIn(t, r.Body) {
				if e.name == "snapshot" {
					n++
				}
				if n == 2 {
					break
				}
			}
			r.Body.Close()
		})
	}
	done.Wait()
}

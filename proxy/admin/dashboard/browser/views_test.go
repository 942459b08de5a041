package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The last hour, what needs attention, views of single things, and operating.

// The charts begin with the server's last hour, and have marks of what happened in it.
func TestLastHour(t *testing.T) {
	f, p := opened(t)
	points := `document.querySelector('#chart-pdus path.series-0').getAttribute('d').split(/[ML]/).length`
	p.until(points + " > 300")
	p.shows("#marks", "reload", "configuration reloaded: log.level", "✕ acme: policy teamtalk refused", "the server started")
	if n := eval[int](p, "document.querySelectorAll('#chart-lag .mark').length"); n != 3 {
		t.Errorf("%d marks in a chart, want 3", n)
	}
	if n := eval[int](p, "document.querySelectorAll('#chart-lag .mark.bad').length"); n != 1 {
		t.Errorf("%d marks are red, want the refused policy alone", n)
	}
	if text := eval[string](p, "document.querySelector('#chart-pdus svg text:last-of-type').textContent"); text != "now" {
		t.Errorf("the time axis ends with %q", text)
	}
	p.choose("#span", "300")
	p.until(points + " < 60")
	p.choose("#span", "3600")
	p.until(points + " > 300")
	// Another tenant has its own hour, and a new policy a mark at once.
	p.choose("#tenant", "default")
	p.until(points + " > 300")
	f.change(func(w *world) {
		w.server.marks = append(w.server.marks, mark(0, "policy", "default", "policy new.toml in force"))
	})
	f.tell("policy", f.world.tenants[1].history[0])
	p.shows("#marks", "policy new.toml in force")
	if !slices.ContainsFunc(f.requests(), func(r string) bool { return strings.HasSuffix(r, "/api/v1/last-hour?tenant=default") }) {
		t.Error("the last hour of the tenant was not asked for")
	}
}

// A server that has just started has no hour, and says from when on it has figures.
func TestYoungServer(t *testing.T) {
	w := newWorld()
	w.server.hour = w.server.hour[len(w.server.hour)-6:]
	p := open(t, newFake(t, w).URL, wide)
	p.live()
	p.shows("#since", "from ", "figures begin with a start or a new tenant")
	p.until("document.querySelector('#chart-pdus svg').getAttribute('aria-valuemax') === '300'")
}

// What needs attention is at the top, and nothing else is red.
func TestTroubles(t *testing.T) {
	f, p := opened(t)
	p.shows("#troubles", "Nothing needs attention.")
	p.shows("#head-line", "v1.4.2 on hub-a, up 26 h")
	f.change(func(w *world) {
		w.tenants[1].peers[3].lag = 24 << 20
		w.tenants[0].dropped = object{"policy": 9999, "over-limit": 9999, "action": 12, "quota": 800}
		w.tenants[1].dropped = object{"action": 12, "quota": 4}
		w.tenants[0].faults = object{"fuel": 2}
	})
	p.shows("#troubles", "▲ Peer 10.2.0.14:40003 is slow: lag 24.0 MiB", "▲ Tenant acme: 797 PDUs lost in the last minute (so far quota 800, action 12)", "△ Tenant default: 1 PDU lost in the last minute", "the policy failed on 2 PDUs")
	p.shows("#announcements", "Tenant acme:")
	if strings.Contains(p.text("#troubles"), "9999") {
		t.Error("what the policy drops counts as trouble")
	}
	f.change(func(w *world) {
		w.server.configError, w.server.restart, w.server.expires = "line 7: unknown key", []string{"admin.address"}, 5*24*60*60*1e9
	})
	p.polls()
	p.shows("#troubles", "▲ The configuration is refused; the one before is in force: line 7: unknown key", "△ Waits for a restart: admin.address", "△ The certificate of 127.0.0.1:8443 expires in ")
	p.shows("#server-facts", "line 7: unknown key", "admin.address", "/etc/switchyard/config.toml", "read and operate")
	p.shows("#listeners-table", "127.0.0.1:8443", "mutual TLS", "△ in ", "not-allowed 3")
}

// A peer, a command and a policy have views of their own, with addresses.
func TestViews(t *testing.T) {
	f, p := opened(t)
	f.change(func(w *world) { w.tenants[0].peers[2].lag = 24 << 20 })
	link := "[...document.querySelectorAll('#peers-table tbody th a')].find(a => a.innerText.startsWith('10.1.0.13'))"
	p.until(link + " !== undefined")
	eval[bool](p, "("+link+".click(), true)")
	p.shows("#view", "Peer 10.1.0.13:40002", "It has yet to be written 24.0 MiB.", "It is not read from now", "limits.lag_hard", "Session", "plain TCP", "slow-consumer")
	if hash := eval[string](p, "location.hash"); hash != "#peer/acme/3" {
		t.Errorf("the address of the view is %q", hash)
	}
	if p.text("#overview") != "" || eval[string](p, "document.activeElement.id") != "view-title" {
		t.Error("the parts are shown beside the view, or the focus is not at its heading")
	}
	p.click("#view-body div .buttons button")
	p.shows("#view-body", "CID_MSG_DATA", "100 B", "CID_OTHER_HEARTBEAT", "Its PDUs of 5 s")
	p.view("view-peer")

	// The address alone shows the same, and leads back.
	p.do(chromedp.Reload())
	p.live()
	p.shows("#view", "Peer 10.1.0.13:40002")
	p.click("#view-back")
	p.until("document.getElementById('view').hidden && document.getElementById('peers').checkVisibility()")
	eval[bool](p, "(history.back(), true)")
	p.shows("#view", "Peer 10.1.0.13:40002")
	f.change(func(w *world) { w.tenants[0].peers = w.tenants[0].peers[:2] })
	p.shows("#view", "Session 3 of tenant acme has ended, or never was.")

	eval[bool](p, "(location.hash = '#command/acme/0x0301', true)")
	p.shows("#view", "Command CID_MSG_DATA of acme", "broadcast-except-sender", "by its id", "from_user_id", "MSG_TYPE_SINGLE_TEXT = 1", "not known: the policy is not a table")
	p.click("#view-body button")
	p.until("document.getElementById('view').hidden && document.getElementById('evaluate-command').value === 'CID_MSG_DATA' && document.getElementById('evaluate-tenant').value === 'acme'")
	p.shows("#evaluate-body-fields", "Fields of CID_MSG_DATA: from_user_id (uint32, required)")
	eval[bool](p, "(document.getElementById('evaluate-body').value = 'from_user_id = 42\\nmsg_data = hi', true)")
	p.click("#evaluate button[type=submit]")
	p.shows("#evaluate-answer", "broadcast-except-sender")
	if body := f.lastBody(); !strings.Contains(body, `"body":"082a32026869"`) {
		t.Errorf("sent %s", body)
	}

	f.change(func(w *world) {
		before := w.tenants[0].event(5, "retired", "", "")
		before["sha256"] = strings.Repeat("9", 64)
		w.tenants[0].history = append(w.tenants[0].history, before)
	})
	eval[bool](p, "(location.hash = '#policy/acme/"+strings.Repeat("b", 64)+"', true)")
	p.shows("#view", "Policy teamtalk bbbbbbbbbbbb of acme", "● in force", "2 routes differ from teamtalk 999999999999", "CID_MSG_DATA", "drop")
	if !slices.ContainsFunc(f.requests(), func(r string) bool {
		return strings.Contains(r, "/api/v1/policies/compare?") && strings.Contains(r, "before=99")
	}) {
		t.Errorf("asked %q", f.requests())
	}
}

// A view of something that is not there says so, and a hash that names none shows the parts.
func TestViewsOfNothing(t *testing.T) {
	_, p := opened(t, "status of 404", "status of 400")
	for hash, want := range map[string]string{"#peer/acme/999": "has ended, or never was", "#policy/acme/none": "has had no such policy", "#command/none/0x0301": "is not served"} {
		eval[bool](p, fmt.Sprintf("(location.hash = %q, true)", hash))
		p.shows("#view", want)
	}
	for _, hash := range []string{"#peer/acme", "#peer/%ff/1", "#other/acme/1", "#"} {
		eval[bool](p, fmt.Sprintf("(location.hash = %q, true)", hash))
		p.until("document.getElementById('view').hidden && document.getElementById('overview').checkVisibility()")
	}
}

// The chosen tenant is in the address, and comes from it.
func TestTenantInAddress(t *testing.T) {
	f, p := opened(t)
	p.choose("#tenant", "default")
	p.until("location.search === '?tenant=default'")
	eval[bool](p, "(history.back(), true)")
	p.until("location.search === '' && document.getElementById('tenant').value === ''")
	p.do(chromedp.Navigate(f.URL + "/?tenant=default#log"))
	p.live()
	p.until("document.getElementById('tenant').value === 'default' && !document.querySelector('#peers-table tbody').innerText.includes('10.1.0.')")
}

func TestDisconnects(t *testing.T) {
	f, p := opened(t)
	p.shows("#disconnects-table", "△ slow-consumer", "peer-closed", "10.1.0.77:50003", "60 min", "3.00 MiB")
	p.shows("#disconnects-count", "in the last hour: slow-consumer 1, peer-closed 1")
	p.choose("#tenant", "default")
	p.until("!document.querySelector('#disconnects-table tbody').innerText.includes('slow-consumer')")
	f.change(func(w *world) {
		w.server.disconnects = append([]object{disconnect("default", 93, "10.2.0.12:1", "idle-timeout", true, 0)}, w.server.disconnects...)
	})
	p.polls()
	p.shows("#disconnects-table tbody tr:nth-child(1)", "△ idle-timeout", "10.2.0.12:1")
}

func TestAuditPart(t *testing.T) {
	w := newWorld()
	copies := func(n int) object { return object{"pdus": n, "bytes": n * 100} }
	w.tenants[0].audit = object{"policy": w.tenants[0].policy, "rows": []object{{"command": "CID_MSG_DATA", "pdus": 70, "sent": copies(210), "audited": copies(140), "useless": copies(80), "missed": copies(10), "faults": 3}}}
	f := newFake(t, w)
	p := open(t, f.URL, wide)
	p.live()
	p.shows("#audit-summary", "acme: teamtalk bbbbbbbbbbbb would send 140 PDUs out instead of 210, −33 %; 80 are useless by it, 10 are missed.")
	p.shows("#audit-table", "CID_MSG_DATA", "70", "210", "140")
	p.choose("#tenant", "default")
	p.until("document.getElementById('audit').hidden && document.getElementById('audit-link').hidden")
}

// polls has the page ask at once for what it asks for every few seconds.
func (p *page) polls() {
	p.t.Helper()
	eval[bool](p, "document.dispatchEvent(new Event('visibilitychange'))")
}

// confirmed presses a button, and confirms in the dialog.
func (p *page) confirmed(button string, words ...string) {
	p.t.Helper()
	p.until(fmt.Sprintf("!document.querySelector(%q).disabled", button))
	p.click(button)
	p.shows("#confirm", words...)
	p.click("#confirm-submit")
}

// Operators act from the page after a confirmation; the request is that of the command line.
func TestOperate(t *testing.T) {
	f, p := opened(t)
	asked := len(f.requests())
	posted := func() (all []string) {
		for _, r := range f.requests()[asked:] {
			if !strings.HasPrefix(r, "GET") {
				all = append(all, r)
			}
		}
		return all
	}
	p.until("!document.getElementById('operate-reload').disabled")
	p.click("#operate-reload")
	p.shows("#confirm", "Read the configuration, policies and certificates again?")
	p.press("\x1b")
	p.until("!document.getElementById('confirm').open")
	p.click("#operate-drain")
	p.shows("#confirm", "Stop the server on hub-a?", "closes all 12 peers")
	p.view("confirm")
	p.click("#confirm-cancel")
	p.until("!document.getElementById('confirm').open")
	if sent := posted(); len(sent) > 0 {
		t.Errorf("without a confirmation, %q was sent", sent)
	}
	p.confirmed("#operate-reload")
	p.shows("#confirm-answer", "Reloaded; changed: peer.timeout.")
	p.until("document.activeElement.id === 'confirm-cancel' && document.getElementById('confirm-submit').hidden")
	p.click("#confirm-cancel")
	p.choose("#operate-level", "debug")
	p.confirmed("#operate-log", "Log from level debug on?")
	p.shows("#confirm-answer", "The log level is debug.")
	p.click("#confirm-cancel")
	p.shows("#server-facts", "debug; the configuration says info")

	eval[bool](p, "(location.hash = '#peer/acme/4', true)")
	p.shows("#view", "10.1.0.14:40003")
	p.click("#peer-close")
	p.shows("#confirm", "Close the connection of 10.1.0.14:40003?")
	p.enter("#confirm-reason", "it hangs <b>")
	p.click("#confirm-submit")
	p.shows("#confirm-answer", "10.1.0.14:40003 is being closed.")
	if got := f.lastBody(); got != `{"tenant":"acme","session":4,"reason":"it hangs <b>"}` {
		t.Errorf("sent %s", got)
	}
	p.click("#confirm-cancel")
	p.polls()
	p.shows("#view", "It has ended", "operator")
	p.click("#view-back")
	p.confirmed("#operate-drain")
	p.shows("#confirm-answer", "The server drains for at most 30 s")
	p.shows("#draining", "Draining:")
	want := []string{"POST /api/v1/reload", "PUT /api/v1/log-level", "POST /api/v1/connections/close", "POST /api/v1/drain"}
	if got := posted(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// A client that may only read is told so, and the buttons are disabled. A right that is lost
// meanwhile is answered with what is needed.
func TestOperateWithoutRight(t *testing.T) {
	w := newWorld()
	w.server.right = "read"
	f := newFake(t, w)
	f.operate = "operator"
	p := open(t, f.URL, wide, "status of 401")
	p.live()
	p.shows("#server-facts", "read. Operating needs the operate token")
	p.shows("#operate-help", "These need the operate token.")
	if enabled := eval[int](p, "document.querySelectorAll('#server button[id^=operate]:not([disabled])').length"); enabled != 0 {
		t.Errorf("%d buttons are enabled", enabled)
	}
	f.change(func(w *world) { w.server.right = "operate" })
	p.polls()
	p.confirmed("#operate-reload")
	p.shows("#confirm-answer", "Reload needs the operate token")
}

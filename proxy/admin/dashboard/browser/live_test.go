package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the page shows of what happens.

func opened(t *testing.T, expected ...string) (*fake, *page) {
	t.Helper()
	f := newFake(t, newWorld())
	p := open(t, f.URL, wide, expected...)
	p.live()
	p.shows("#peers-table", "10.1.0.11:40000")
	p.shows("#routes-table", "CID_MSG_DATA")
	p.shows("#policies-table", "in force")
	return f, p
}

func TestValuesAppear(t *testing.T) {
	f, p := opened(t)
	p.shows("#stream", "Live")
	p.shows("#tiles", "PDUs in", "/s", "12\n1 paused", "1680\nof 2 tenants", "1.86 MiB", "action 24, quota 6", "slow-consumer 14")
	p.shows("#tenants-table", "acme", "default", "teamtalk", "15")
	p.shows("#peers-table", "10.1.0.12:40001 cn:north.acme", "master", "standby", "admins", "10.2.0.15:40004", "△ lagging, 3 % of limit; ‖ paused", "keeps up")
	p.shows("#peers-slow", "1 paused")
	p.shows("#routes-table", "unicast to the holders of user_id", "413/s", "0x0720–0x072f", "all other", "consume 5")
	p.shows("#policies-table", "✕ refused", "signature: no key of signatures.keys", "12.3 ms", "91 known commands")
	p.shows("#log-table", "▲ ERROR", "reason=quota", "tenant=acme")
	if got := eval[int](p, "document.querySelectorAll('#chart-pdus path.line').length"); got != 2 {
		t.Errorf("%d lines in the chart of PDUs, want 2", got)
	}
	p.until("document.querySelector('#chart-latency path.series-1').getAttribute('d').split('L').length > 3")
	p.shows("#chart-latency", "99 %", "longest", "µs")

	// Figures follow the snapshots.
	f.change(func(w *world) { w.tenants[0].commands[1].rate = 777 })
	p.shows("#routes-table", "777/s")
	if text := p.text("#announcements"); text != "" { // screen readers must not read out figures
		t.Errorf("read out: %q", text)
	}
}

func TestChooseTenant(t *testing.T) {
	f, p := opened(t, "status of 404") // a request about a tenant that was just removed
	p.choose("#tenant", "default")
	p.until("!document.querySelector('#peers-table tbody').innerText.includes('10.1.0.')")
	p.shows("#peers-table", "10.2.0.11")
	p.shows("#tiles", "5\n0 paused", "of 1 tenant")
	p.shows("#chart-latency", "last probe")
	p.until("!document.querySelector('#policies-table tbody').innerText.includes('teamtalk')")
	if shown := eval[bool](p, "document.querySelector('#peers-table thead th:nth-child(3)').checkVisibility()"); shown {
		t.Error("rows of one tenant name it")
	}
	if got := eval[string](p, "document.getElementById('evaluate-tenant').value"); got != "default" {
		t.Errorf("the box asks about tenant %q, want default", got)
	}
	// A click on a tenant's name selects it, and a second click selects all.
	p.click("#tenants-table tbody tr:nth-child(1) button")
	p.until("document.getElementById('tenant').value === 'acme'")
	p.shows("#peers-table", "10.1.0.11")
	p.click("#tenants-table tbody tr:nth-child(1) button")
	p.until("document.getElementById('tenant').value === ''")
	p.shows("#peers-table", "10.1.0.11", "10.2.0.11")
	// A tenant that is no longer served cannot stay selected.
	p.choose("#tenant", "default")
	f.change(func(w *world) { w.tenants = w.tenants[:1] })
	p.until("document.getElementById('tenant').value === '' && document.getElementById('tenant').options.length === 2")
	p.shows("#peers-table", "10.1.0.11")
}

func TestReloadShowsUp(t *testing.T) {
	f, p := opened(t)
	asked, before := len(f.requests()), len(p.fetches("/api/v1/policies"))
	var now, refused object
	f.change(func(w *world) {
		acme := w.tenants[0]
		acme.history[0]["state"], acme.history[0]["until"] = "retired", w.now
		acme.policy = object{"name": "file:new.wasm", "sha256": strings.Repeat("d", 64), "module_sha256": strings.Repeat("d", 64)}
		acme.commands[1].verdict = "broadcast-all"
		now = acme.event(90, "in-force", "", "")
		now["signature"] = object{"version": 7, "signers": []string{"ops.pem"}, "expires": nil}
		acme.history = append([]object{now}, acme.history...)
	})
	f.tell("policy", now)
	p.shows("#policies-table", "file:new.wasm", "dddddddddddd", "v7 by ops.pem", "○ retired")
	p.shows("#announcements", "Tenant acme: policy file:new.wasm is in force.")
	p.shows("#tenants-table", "file:new.wasm")
	p.shows("#routes-table", "broadcast-all")
	p.until("[...document.querySelectorAll('#routes-table tbody tr')].some(r => r.innerText.includes('CID_MSG_DATA_ACK') && r.innerText.includes('broadcast-all'))")
	again := slices.ContainsFunc(f.requests()[asked:], func(r string) bool { return strings.HasPrefix(r, "GET /api/v1/routes?tenant=acme") })
	if !again {
		t.Error("the routing table was not asked for again")
	}

	f.change(func(w *world) {
		refused = w.tenants[0].event(91, "refused", "compile", "file:new.wasm: byte 12: unexpected end")
		w.tenants[0].history = append([]object{refused}, w.tenants[0].history...)
	})
	f.tell("policy", refused)
	p.shows("#policies-table tbody tr:nth-child(1)", "✕ refused", "compile: file:new.wasm: byte 12: unexpected end")
	p.shows("#policies-count", "3 loaded, 3 refused")
	p.shows("#announcements", "was refused by the gate compile")
	sooner, all := 0, p.fetches("/api/v1/policies")
	for i := before; i < len(all); i++ {
		if all[i]-all[i-1] < 30_000 {
			sooner++
		}
	}
	if sooner < 2 {
		t.Errorf("asked for the policies at %v ms: the page waited until it asks by itself, every 30 s, and did not listen", all)
	}
	// The tiles and the row of the policy in force show faults.
	f.change(func(w *world) { w.tenants[0].faults = object{"fuel": 4} })
	p.shows("#tiles", "fuel 4")
	p.shows("#policies-table tbody tr:nth-child(2)", "fuel 4")
}

func TestSlowConsumerShowsUp(t *testing.T) {
	f, p := opened(t)
	f.change(func(w *world) { w.tenants[1].peers[3].lag = 24 << 20 })
	first := "#peers-table tbody tr:nth-child(1)"
	p.shows(first, "10.2.0.14:40003", "▲ slow, 38 % of limit", "24.0 MiB")
	p.shows("#peers-slow", "▲ 1 slow: 10.2.0.14:40003 (lag 24.0 MiB)")
	p.shows("#announcements", "Slow: 10.2.0.14:40003")
	for _, more := range []int{26, 24} {
		f.change(func(w *world) { w.tenants[1].peers[3].lag = more << 20 })
		p.shows("#peers-slow", fmt.Sprintf("lag %d.0 MiB", more))
	}
	p.shows("#tiles", "24.0 MiB")
	// The row is marked by its background as well, not only by words.
	colour := func(row string) string {
		return eval[string](p, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).backgroundColor", row+" td"))
	}
	if slow, other := colour(first), colour("#peers-table tbody tr:nth-child(3)"); slow == other {
		t.Errorf("the row of a slow peer is as %s as the others", slow)
	}
	f.change(func(w *world) { w.tenants[1].peers[3].lag = 0 })
	p.until("!document.getElementById('peers-slow').innerText.includes('slow')")
	p.shows("#peers-slow", "1 paused")
	// When the peer is closed, its row disappears.
	f.change(func(w *world) { w.tenants[1].peers = w.tenants[1].peers[:3] })
	p.until("!document.querySelector('#peers-table').innerText.includes('10.2.0.14')")
	if times := eval[int](p, "[...document.getElementById('announcements').children].filter(e => e.innerText.startsWith('Slow')).length"); times != 1 {
		t.Errorf("that it is slow was read out %d times", times)
	}
}

// A peer among the slowest shows up even if it was not among those asked for.
func TestSlowBeyondThoseAskedFor(t *testing.T) {
	w := newWorld()
	for i := range 400 {
		w.tenants[1].peers = append(w.tenants[1].peers, &peer{session: 100 + i, address: fmt.Sprintf("10.9.%d.%d:1", i/200, i%200), in: 1})
	}
	f := newFake(t, w)
	p := open(t, f.URL, wide)
	p.live()
	// By session, the server picks those with the lowest numbers.
	eval[bool](p, "([...document.querySelectorAll('#peers-table thead button')].find(b => b.innerText.startsWith('Session')).click(), true)")
	p.shows("#peers-count", "200 of 412")
	if rows := eval[int](p, "document.querySelectorAll('#peers-table tbody tr').length"); rows != 200 {
		t.Errorf("%d rows, want the 200 that were asked for", rows)
	}
	f.change(func(w *world) { w.tenants[1].peers[404].lag = 60 << 20 })
	p.shows("#peers-slow", "▲ 1 slow: 10.9.1.199:1")
	p.shows("#peers-table tr.slow", "10.9.1.199:1", "▲ slow, 94 % of limit")
	p.shows("#peers-count", "201 of 412")
}

func TestSort(t *testing.T) {
	f, p := opened(t)
	header := func(title string) string {
		return fmt.Sprintf("[...document.querySelectorAll('#peers-table thead th')].find(h => h.innerText.trim().startsWith(%q))", title)
	}
	if got := eval[string](p, header("Lag")+".getAttribute('aria-sort')"); got != "descending" {
		t.Errorf("by lag: aria-sort %q at first, want descending", got)
	}
	eval[bool](p, "("+header("Users")+".querySelector('button').click(), true)")
	p.until("document.querySelector('#peers-table tbody td:nth-child(9)').innerText === '127'")
	if got := eval[string](p, header("Users")+".getAttribute('aria-sort')+"+header("Lag")+".getAttribute('aria-sort')"); got != "descendingnone" {
		t.Errorf("aria-sort of users and lag: %s", got)
	}
	eval[bool](p, "("+header("Users")+".querySelector('button').click(), true)")
	p.until("document.querySelector('#peers-table tbody td:nth-child(9)').innerText === '121'")
	// The server picks the peers by what is sorted by.
	eval[bool](p, "("+header("In bytes")+".querySelector('button').click(), true)")
	p.until("document.querySelector('#peers-table tbody th').innerText.includes('10.1.0.17')")
	deadline := time.Now().Add(patience)
	for !slices.ContainsFunc(f.requests(), func(r string) bool { return strings.Contains(r, "connections?sort=rate") }) {
		if time.Now().After(deadline) {
			t.Fatal("the fastest were not asked for")
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Addresses are in the order of their numbers.
	eval[bool](p, "("+header("Peer")+".querySelector('button').click(), true)")
	p.until("document.querySelector('#peers-table tbody th').innerText.includes('10.1.0.11:')")
}

// Commands without a rule of their own and without traffic are folded, and found.
func TestFindRoutes(t *testing.T) {
	_, p := opened(t)
	p.shows("#routes-count", "14 of 16 rows")
	if strings.Contains(p.text("#routes-table"), "CID_FILE_STATE") {
		t.Error("a command without a rule and traffic is shown")
	}
	p.click("#routes-fold")
	p.shows("#routes-count", "16 rows")
	p.shows("#routes-table", "CID_FILE_STATE")
	p.click("#routes-fold")
	p.shows("#routes-count", "14 of 16 rows")
	p.enter("#routes-find", "file_state")
	p.shows("#routes-count", "2 of 16 rows")
	p.enter("#routes-find", "read_notify")
	p.shows("#routes-count", "2 of 16 rows")
	p.enter("#routes-find", "no such thing")
	p.shows("#routes-table", "No route matches.")
}

func TestLog(t *testing.T) {
	f, p := opened(t)
	rows := "document.querySelectorAll('#log-table tbody tr').length"
	p.until(rows + " === 4")
	p.choose("#log-least", "WARN")
	p.until(rows + " === 2")
	f.tell("log", line(10, "ERROR", "sent twice", object{"tenant": "default"}))
	f.tell("log", line(10, "ERROR", "sent twice", object{"tenant": "default"}))
	f.tell("log", line(11, "DEBUG", "passed over", object{}))
	f.tell("log", line(12, "WARN", "of no tenant", object{"left": 3}))
	p.shows("#log-table tbody tr:nth-child(1)", "of no tenant", "left=3")
	p.until(rows + " === 4")
	for range 250 {
		f.tell("log", line(12, "WARN", "of no tenant", object{"left": 3}))
	}
	f.tell("log", line(13, "ERROR", "the last", object{"tenant": "acme"}))
	p.until(rows + " === 5") // what was sent again has taken no place
	p.choose("#tenant", "default")
	p.until(rows + " === 2")
	// Words narrow it down further, and equal lines can be one row.
	p.enter("#log-find", "OF NO left=3")
	p.until(rows + " === 1")
	p.enter("#log-find", " ")
	p.until(rows + " === 2")
	f.tell("log", line(14, "WARN", "of no tenant", object{"left": 4}))
	p.until(rows + " === 3")
	p.click("#log-group")
	p.until(rows + " === 2")
	p.shows("#log-table tbody tr:nth-child(1)", "2 × since", "left=4")
	p.click("#log-group")
	// Only so many are kept.
	p.choose("#log-least", "DEBUG")
	for i := range 300 {
		f.tell("log", line(100+i, "INFO", "one of many", object{}))
	}
	p.until(rows + " === 200")
}

func TestDraining(t *testing.T) {
	f, p := opened(t)
	if p.text("#draining") != "" {
		t.Error("draining is shown")
	}
	f.change(func(w *world) { w.draining = true })
	p.shows("#draining", "Draining:")
}

package browser

import (
	"fmt"
	"strings"
	"testing"
)

// Names come from peers' certificates, from policies and from files, so they may be hostile.

var hostile = []string{
	`<img src=x onerror="window.pwned=1">`,
	`"><script>window.pwned=2</script>`,
	`javascript:window.pwned=3`,
	`</title></select><svg onload=window.pwned=4>`,
	`__proto__`,
	`constructor`,
	`{{constructor.constructor('window.pwned=5')()}}`,
	"\u202egnp.exe\u2066 turned around",
	"line\nbreak\ttab\x00\x1b[31m",
	strings.Repeat("W", 3000),
	strings.Repeat("ﷺ 🏴‍☠️ ", 200),
	``,
}

func TestHostileNames(t *testing.T) {
	w := newWorld()
	w.tenants = nil
	w.server.configError, w.server.restart = hostile[0]+"\n"+hostile[1], []string{hostile[3]}
	for i, name := range hostile[:len(hostile)-1] {
		other := hostile[(i+1)%len(hostile)]
		tn := newTenant(name, 2, other, i+3)
		tn.faults, tn.dropped = object{name: 3, other: 4}, object{name: 5, "__proto__": 6}
		tn.peers[0].identities, tn.peers[0].address, tn.peers[0].lag, tn.peers[0].tls = []string{name, other}, other, 30<<20, true
		tn.commands = append(tn.commands, command{name, 0x300 + i, other, 12, 9})
		tn.history[1] = tn.event(1000+i, "refused", name, other)
		tn.history[1]["signature"] = object{"version": 1, "signers": []string{name}, "expires": nil}
		tn.begin()
		stage := tn.release["stage"].(object)
		stage["commands"], stage["paused"], stage["reason"], tn.release["refused"] = []string{name, other}, true, other, name
		tn.entries[0]["reason"], tn.entries[0]["who"].(object)["by"] = name, other
		w.tenants = append(w.tenants, tn)
		w.server.marks = append(w.server.marks, mark(0, "policy", name, other))
		gone := disconnect(name, 70+i, other, name, true, 0)
		gone["identity"], gone["error"] = name, other
		w.server.disconnects = append(w.server.disconnects, gone)
		w.lines = append(w.lines, line(20+i, "WARN", name, object{name: other, "tenant": name}))
	}
	t.Run("wide", func(t *testing.T) { testHostileNames(t, w, wide, "hostile") })
	t.Run("small", func(t *testing.T) { testHostileNames(t, w, look{width: 360, height: 740}, "hostile-small") })
}

func testHostileNames(t *testing.T, w *world, l look, name string) {
	f := newFake(t, w)
	p := open(t, f.URL, l, "status of 400", "status of 404")
	p.live()
	p.shows("#tenants-table", hostile[0], hostile[1], "\ufffdgnp.exe\ufffd turned around")
	p.shows("#peers-table", hostile[0])
	p.shows("#peers-slow", "11 slow")
	p.shows("#policies-table", hostile[3], hostile[6])
	p.shows("#releases-cards", hostile[0], hostile[1], "Paused: "+hostile[2])
	p.shows("#log-table", hostile[0], hostile[4]+"="+hostile[5])
	p.shows("#routes-table", "CID_MSG_DATA", hostile[0], hostile[1])
	for _, tenant := range hostile[:8] {
		p.choose("#tenant", tenant)
		p.until(fmt.Sprintf("document.getElementById('tenant').value === %q && document.querySelectorAll('#tenants-table tr.chosen').length === 1", tenant))
		p.shows("#routes-table", "CID_MSG_DATA")
	}
	p.choose("#tenant", "")
	f.tell("policy", w.tenants[0].history[1])
	fresh := w.tenants[0].event(5000, "in-force", "", "")
	f.tell("policy", fresh)
	p.shows("#announcements", "Tenant "+hostile[0])
	p.evaluate(map[string]string{"command": "CID_NONE"})
	p.shows("#evaluate-answer", "CID_NONE")
	p.candidate("<b>&quot;.toml", "x")
	p.click("#compare-send")
	p.shows("#compare-answer", "<b>&quot;.toml")
	p.shows("#troubles", hostile[0]+" (and 1 more)", hostile[3])
	p.shows("#server-facts", hostile[1])
	p.shows("#disconnects-table", hostile[0], hostile[1])
	p.shows("#marks", hostile[6])
	p.picture(name)
	// Names are in addresses of views, and come from there.
	for part, want := range map[string]string{"peers": "limits.lag_hard", "routes": "IM.Message.IMMsgData", "policies": "difference"} {
		for i := range 3 {
			eval[bool](p, fmt.Sprintf("([...document.querySelectorAll('#%s-table tbody a')][%d].click(), true)", part, i))
			p.until(fmt.Sprintf("document.getElementById('view').innerText.toLowerCase().includes(%q)", strings.ToLower(want)))
			p.click("#view-back")
			p.until("document.getElementById('view').hidden")
		}
	}
	if got := eval[bool](p, "window.pwned !== undefined || ({}).polluted !== undefined"); got {
		t.Error("a name became code")
	}
	if got := eval[int](p, "document.querySelectorAll('img, script, iframe, object, embed, form, svg').length - document.querySelectorAll('h1 img, head script, #token-form, form.box, form.confirm, .chart svg').length"); got != 0 {
		t.Errorf("names became %d elements", got)
	}
	if got := eval[string](p, "document.title"); got != "Switchyard" {
		t.Errorf("the title is %q", got)
	}
	if got := eval[int64](p, "document.documentElement.scrollWidth"); got > l.width {
		t.Errorf("names made the page %d pixels wide", got)
	}
}

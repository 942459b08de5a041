package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// How the page looks, and how it is used without a mouse.

// contrasts are the lowest contrast between a text and what is behind it, of all that
// is seen, with what it is about.
const contrasts = `(() => {
	const rgba = c => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
	const over = (top, below) => Object.fromEntries(['r', 'g', 'b'].map(k => [k, top[k] * top.a + below[k] * (1 - top.a)]));
	const light = ({ r, g, b }) => { const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
	const behind = e => { const layers = []; for (; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor)); return layers.reduce((below, top) => ({ ...over(top, below), a: 1 }), { r: 255, g: 255, b: 255, a: 1 }); };
	const wrong = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let texts = 0;
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest('.unseen, .skip, [disabled], option')) continue;
		const back = behind(e);
		const style = getComputedStyle(e);
		const front = over(rgba(e instanceof SVGElement ? style.fill : style.color), back);
		const [a, b] = [light(front), light(back)];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		texts++;
		if (ratio < 4.5) wrong.push(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ' ' + walker.currentNode.data.slice(0, 40));
	}
	return texts < 100 ? ['only ' + texts + ' texts'] : wrong;
})()`

func furnished(t *testing.T, l look) (*fake, *page) {
	t.Helper()
	w := newWorld()
	w.tenants[1].peers[3].lag = 24 << 20
	f := newFake(t, w)
	f.backlog = 290
	p := open(t, f.URL, l)
	p.live()
	p.shows("#peers-table", "10.1.0.11:40000", "slow")
	p.shows("#routes-table", "CID_MSG_DATA")
	p.shows("#policies-table", "in force")
	p.until("document.querySelector('#chart-pdus path.series-0').getAttribute('d').split('L').length > 250")
	return f, p
}

func (p *page) asked() {
	p.t.Helper()
	p.evaluate(map[string]string{"command": "CID_MSG_DATA", "body": "1 = 42"})
	p.shows("#evaluate-answer", "broadcast-except-sender")
	p.candidate("next.toml", "x")
	p.click("#compare-send")
	p.shows("#compare-answer", "1 route would change")
}

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		name string
		look look
	}{
		{"light", wide},
		{"dark", look{width: 1360, height: 900, dark: true}},
		{"small", look{width: 360, height: 740}},
		{"small-dark", look{width: 360, height: 740, dark: true}},
		{"middle", look{width: 820, height: 1100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, p := furnished(t, c.look)
			p.asked()
			eval[bool](p, "(window.scrollTo(0, 0), document.activeElement.blur(), true)")
			p.view(c.name + "-top")
			p.picture(c.name)
			for _, wrong := range eval[[]string](p, contrasts) {
				t.Errorf("hard to read: %s", wrong)
			}
			if wide := eval[int64](p, "document.documentElement.scrollWidth"); wide > c.look.width {
				t.Errorf("the page is %d pixels wide, want at most %d", wide, c.look.width)
			}
			// What is wider than the screen is within something that scrolls.
			for _, out := range eval[[]string](p, `[...document.querySelectorAll('main *, header *, .dock *')]
				.filter(e => e.checkVisibility() && !e.closest('.unseen') && !e.parentElement.closest('.scroll, .parts, svg, pre') && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + '#' + e.id + '.' + e.className)`) {
				t.Errorf("beyond the edge: %s", out)
			}
			ground := eval[string](p, "getComputedStyle(document.body).backgroundColor")
			if dark := strings.HasPrefix(ground, "rgb(18,"); dark != c.look.dark {
				t.Errorf("the ground is %s", ground)
			}
		})
	}
}

// focused describes what has the focus.
const focused = `(e => (e.id || (e.getAttribute('aria-label') ?? e.innerText ?? '').trim().slice(0, 30) || e.value) + ' ' + e.tagName.toLowerCase())(document.activeElement)`

func TestKeyboard(t *testing.T) {
	_, p := furnished(t, wide)
	eval[bool](p, "(document.activeElement.blur(), window.scrollTo(0, 0), true)")
	var order []string
	for range 220 {
		p.press(kb.Tab)
		if eval[bool](p, "document.activeElement === document.body") {
			break
		}
		what := eval[string](p, focused)
		order = append(order, what)
		if !eval[bool](p, `(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement)) || document.activeElement.matches('input[type=file]:focus-visible')`) {
			t.Errorf("%s has the focus, and no visible outline", what)
		}
		// Nor is it behind what stays at the top.
		if !eval[bool](p, `(e => { const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight && (e.closest('.dock, .skip, header') || r.bottom > document.querySelector('.dock').getBoundingClientRect().bottom); })(document.activeElement) ? true : false`) {
			t.Errorf("%s has the focus and is out of sight", what)
		}
	}
	reached := strings.Join(order, "\n")
	at := 0
	for _, want := range []string{"Skip to the content a", "tenant select", "token-open button", "Overview a", "Log a", "PDUs svg", "Bytes svg", "Lag svg", "Latency svg", "Tenants div", "Tenant button", "acme button",
		"Peers div", "Peer button", "10.2.0.14:40003 a", "Disconnects div", "routes-find input", "Routing table div", "routes-fold button", "Policies div", "evaluate-tenant select", "fields input", "evaluate-command input", "evaluate-body textarea",
		"evaluate-session input", "Evaluate button", "compare-tenant select", "compare-file input", "log-find input", "log-least select", "log-group input", "Log div", "operate-reload button", "operate-drain button", "Listeners div"} {
		i := strings.Index(reached[at:], want+"\n")
		if i < 0 && !strings.HasSuffix(reached, want) {
			t.Fatalf("%s is not reached, or too early; in order:\n%s", want, reached)
		}
		at += max(0, i)
	}

	// The link at the top goes where it says.
	eval[bool](p, "(document.activeElement.blur(), window.scrollTo(0, 0), document.querySelector('.skip').focus(), true)")
	p.press("\r", kb.Tab)
	if got := eval[string](p, focused); !strings.HasPrefix(got, "▲ Peer 10.2.0.14") {
		t.Errorf("after skipping, the first is %q", got)
	}
	// A chart is read moment by moment.
	eval[bool](p, "(document.querySelector('#chart-pdus svg').focus(), true)")
	now := eval[string](p, "document.activeElement.getAttribute('aria-valuetext')")
	p.press(kb.ArrowLeft, kb.ArrowLeft, kb.ArrowLeft)
	p.shows("#chart-pdus .when", "at ")
	before := eval[string](p, "document.activeElement.getAttribute('aria-valuetext')")
	if !strings.HasPrefix(now, "PDUs, now: in ") || !strings.Contains(before, " seconds ago: in ") {
		t.Errorf("read out: %q, then %q", now, before)
	}
	p.press(kb.Home)
	p.until("Number(document.activeElement.getAttribute('aria-valuenow')) < 700")
	p.press(kb.Escape)
	p.until("document.querySelector('#chart-pdus .when').innerText === ''")
	// Sorting and asking by Enter; the focus stays.
	eval[bool](p, "(document.querySelector('#peers-table thead th:nth-child(9) button').focus(), true)")
	p.press("\r")
	p.until("document.querySelector('#peers-table thead th:nth-child(9)').ariaSort === 'descending' && document.activeElement.innerText.startsWith('Users')")
	eval[bool](p, "(document.getElementById('evaluate-command').focus(), true)")
	p.press("CID_MSG_DATA", "\r")
	p.shows("#evaluate-answer", "broadcast-except-sender")
	// The token's form opens, and Escape closes it.
	eval[bool](p, "(document.getElementById('token-open').focus(), true)")
	p.press("\r")
	p.until("document.activeElement.id === 'token'")
	p.press(kb.Escape)
	p.until("document.activeElement.id === 'token-open' && document.getElementById('token-form').hidden")
}

// What programs that read pages out rely on.
func TestNames(t *testing.T) {
	_, p := furnished(t, wide)
	p.asked()
	for _, check := range []struct{ what, expression string }{
		{"has no label", `[...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels.length && !e.ariaLabel)`},
		{"has no text", `[...document.querySelectorAll('button, a')].filter(e => !e.textContent.trim() && !e.ariaLabel && !e.closest('dialog:not([open])'))`},
		{"is a table without a caption or with cells that no header names", `[...document.querySelectorAll('table')].filter(t => !t.caption?.textContent || [...t.tHead.rows[0].cells].some(h => h.scope !== 'col' || !h.textContent) || [...t.tBodies[0].rows].some(r => r.cells[0].scope !== 'row' || r.cells.length !== t.tHead.rows[0].cells.length))`},
		{"is a picture without a name", `[...document.querySelectorAll('svg')].filter(e => !e.ariaLabel)`},
		{"is a part without a heading", `[...document.querySelectorAll('main section:not([hidden])')].filter(e => !document.getElementById(e.getAttribute('aria-labelledby'))?.textContent)`},
		{"has the id of another", `[...document.querySelectorAll('[id]')].filter((e, i, all) => all.findIndex(o => o.id === e.id) !== i)`},
	} {
		for _, e := range eval[[]string](p, check.expression+".map(e => e.tagName + '#' + e.id + '.' + e.className)") {
			t.Errorf("%s %s", e, check.what)
		}
	}
	live := eval[[]string](p, "[...document.querySelectorAll('[aria-live]')].map(e => e.id || e.closest('.card')?.className)")
	if got := fmt.Sprint(live); got != "[announcements card card evaluate-answer compare-answer confirm-answer]" {
		t.Errorf("changes of %s are read out", got)
	}
}

// Figures of any length stay in their places.
func TestNothingJumps(t *testing.T) {
	f, p := furnished(t, look{width: 1360, height: 900, still: true})
	const places = `[...document.querySelectorAll('main > section, .tiles > div, #peers-table th, #routes-table thead th, .chart svg, .legend li, .legend .value')]
		.filter(e => !e.closest('tbody')).map(e => { const r = e.getBoundingClientRect(); return [e.id || e.tagName + ' ' + e.textContent.slice(0, 12).replace(/[\d.]+.*/, ''), Math.round(r.left), Math.round(r.width), e.closest('.tiles') || e.tagName === 'svg' ? Math.round(r.top + scrollY) : 0].join(' '); })`
	eval[bool](p, "(window.scrollTo(0, 0), true)")
	before := eval[[]string](p, places)
	for _, scale := range []float64{0, 0.3, 9.7, 997, 123456, 98765432} {
		seen := eval[string](p, "document.getElementById('tiles').innerText")
		f.change(func(w *world) {
			for _, t := range w.tenants {
				for i, p := range t.peers {
					p.in, p.out = scale*float64(i+1), scale/3
				}
				for i := range t.commands {
					t.commands[i].rate, t.commands[i].pdus = scale, int(scale*1000)
				}
			}
		})
		p.until(fmt.Sprintf("document.getElementById('tiles').innerText !== %q", seen))
		want := "0 B/s"
		if scale > 0 {
			want = "/s"
		}
		p.shows("#peers-table tbody tr:nth-child(1) td:nth-child(7)", want)
		p.until(fmt.Sprintf("(x => x === window.last ? true : (window.last = x, false))(%s.join())", places))
		for i, place := range eval[[]string](p, places) {
			if place != before[i] {
				t.Errorf("with rates of about %v, %s was at %s", scale, place, before[i])
			}
		}
	}
	// Every figure asks for digits of equal width, whatever fonts this machine has.
	if proportional := eval[int](p, "[...document.querySelectorAll('td, .tiles dd, .legend .value')].filter(e => getComputedStyle(e).fontVariantNumeric !== 'tabular-nums').length"); proportional > 0 {
		t.Errorf("%d figures have digits of different widths", proportional)
	}
	if moving := eval[int](p, "document.getAnimations().length"); moving != 0 {
		t.Errorf("%d things move", moving)
	}
	if how := eval[string](p, "getComputedStyle(document.documentElement).scrollBehavior"); how != "auto" {
		t.Errorf("scrolling is %s for a user who prefers reduced motion", how)
	}
}

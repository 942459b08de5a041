package browser

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// How the page is connected, and what it sends.

// failed lists the browser's own messages about a stream that breaks off or is refused.
var failed = []string{"net::ERR_INCOMPLETE_CHUNKED_ENCODING", "status of 503"}

func TestStreamLost(t *testing.T) {
	f, p := opened(t, failed...)
	f.mu.Lock()
	f.lost = true
	f.mu.Unlock()
	p.shows("#stream", "Stream lost", "trying again in", "Try now")
	p.shows("#announcements", "The stream is lost.")
	p.shows("#as-of", "as of")
	if old := eval[string](p, "getComputedStyle(document.getElementById('tiles')).opacity"); old == "1" {
		t.Error("old figures look as new ones")
	}
	p.shows("#tiles", "PDUs in") // they are not taken away
	p.view("lost")
	f.mu.Lock()
	f.lost = false
	f.mu.Unlock()
	p.live()
	p.shows("#announcements", "The stream is back.")
	p.until("document.getElementById('as-of').innerText === '' && getComputedStyle(document.getElementById('tiles')).opacity === '1'")
}

// Each attempt waits longer than the previous one, until the user presses the button.
func TestBackOff(t *testing.T) {
	f, p := opened(t, failed...)
	const events = "/api/v1/events"
	before := len(p.fetches(events))
	f.mu.Lock()
	f.lost = true
	f.mu.Unlock()
	deadline := time.Now().Add(patience)
	at := p.fetches(events)
	for ; len(at) < before+5; at = p.fetches(events) { // the stream that was lost, and four attempts
		if time.Now().After(deadline) {
			t.Fatalf("attempts at %v ms, want 4", at)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// 1, 2 and 4 seconds, give or take a fifth.
	for i, least := range []float64{800, 1600, 3200} {
		if waited := at[before+i+2] - at[before+i+1]; waited < least {
			t.Errorf("attempt %d came after %v ms, want at least %v", i+2, waited, least)
		}
	}
	eval[bool](p, "(document.getElementById('stream-now').addEventListener('click', () => { window.pressed = performance.now(); }, { capture: true }), true)")
	p.click("#stream-now")
	pressed := eval[float64](p, "window.pressed")
	for at[len(at)-1] < pressed {
		if time.Now().After(deadline) {
			t.Fatal("there is no attempt after the button")
		}
		time.Sleep(10 * time.Millisecond)
		at = p.fetches(events)
	}
	if i := slices.IndexFunc(at, func(t float64) bool { return t >= pressed }); at[i] > pressed+4000 {
		t.Errorf("the next attempt came %v ms after the button, want it before the 8 seconds that were left", at[i]-pressed)
	}
	f.mu.Lock()
	f.lost = false
	f.mu.Unlock()
	p.live()
}

// A server that hangs keeps the connection open.
func TestSilence(t *testing.T) {
	f, p := opened(t)
	f.mu.Lock()
	f.silent = true
	f.mu.Unlock()
	p.shows("#stream", "Stream lost: nothing came for 10 seconds")
	f.mu.Lock()
	f.silent = false
	f.mu.Unlock()
	p.live()
}

func TestToken(t *testing.T) {
	f := newFake(t, newWorld())
	f.token = "let-me_in.42"
	p := open(t, f.URL, wide, "status of 401")
	p.shows("#stream", "Not allowed")
	p.shows("#token-wanted", "a token is missing")
	p.until("document.activeElement.id === 'token'")
	p.view("token")
	p.enter("#token", "two words")
	p.press("\r")
	p.shows("#token-wanted", "without spaces")
	p.enter("#token", "wrong")
	p.press("\r")
	p.shows("#token-wanted", "The token was not accepted: this token is not known")
	p.enter("#token", f.token)
	p.press("\r")
	p.live()
	p.shows("#peers-table", "10.1.0.11")
	p.shows("#token-open", "Token ✓")
	if !eval[bool](p, "document.getElementById('token-form').hidden && document.getElementById('token').value === ''") {
		t.Error("the token is still in its field")
	}
	// The token is kept in this tab only, and not in any address.
	if kept := eval[string](p, "JSON.stringify(sessionStorage)"); !strings.Contains(kept, f.token) {
		t.Errorf("the tab keeps %s", kept)
	}
	if kept := eval[string](p, "JSON.stringify(localStorage) + document.cookie + location.href + history.length"); strings.Contains(kept, f.token) {
		t.Errorf("the token is in %s", kept)
	}
	for _, r := range f.requests() {
		if strings.Contains(r, f.token) {
			t.Errorf("the token is in the address of %s", r)
		}
	}
	p.do(chromedp.Reload())
	p.live()
	p.click("#token-open")
	p.click("#token-forget")
	p.shows("#stream", "Not allowed")
	if kept := eval[string](p, "JSON.stringify(sessionStorage)"); kept != "{}" {
		t.Errorf("after forgetting, the tab keeps %s", kept)
	}
}

// The page loads nothing from other hosts, and runs no scripts but its own.
func TestConfined(t *testing.T) {
	_, p := opened(t, "Content Security Policy", "TrustedHTML")
	for _, name := range eval[[]string](p, "performance.getEntriesByType('resource').map(e => e.name)") {
		if !strings.HasPrefix(name, eval[string](p, "location.origin")+"/") {
			t.Errorf("the page asked for %s", name)
		}
	}
	if eval[bool](p, `(() => { try { document.getElementById('announcements').innerHTML = '<b>x</b>'; return true; } catch { return false; } })()`) {
		t.Error("text became markup")
	}
	eval[bool](p, `(() => { const s = document.createElement('style'); s.textContent = 'body { visibility: hidden }'; document.head.append(s); return true; })()`)
	if got := eval[string](p, "getComputedStyle(document.body).visibility"); got != "visible" {
		t.Error("a style within the page was taken")
	}
}

package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// These tests open the page in a real browser, Chromium without a window. They are a module
// of their own, so that the server does not depend on the library that drives the browser.

var screenshots = flag.String("screenshots", "", "the folder that pictures of the page are written to; none are taken if empty")

// patience is how long a test waits for a condition.
const patience = 2 * time.Minute

// browser is the context of the one browser in which all tests open tabs.
var browser context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path, err := chromium()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if built, err = os.MkdirTemp("", "dashboard"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	// The tests trust the pages that they open, and root in a container cannot make a sandbox.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.ExecPath(path))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start the browser:", err)
		return 1
	}
	browser = ctx
	code := m.Run()
	if err := chromedp.Cancel(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the browser:", err)
	}
	return code
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium is installed; install it, as by apt-get install chromium")
}

// A look is the size of the window and the user's preferences.
type look struct {
	width, height int64
	dark          bool
	still         bool // prefers reduced motion
}

var wide = look{width: 1360, height: 900}

// A page is a tab that shows the dashboard. A message on its console fails the test, unless
// it is expected.
type page struct {
	t        *testing.T
	ctx      context.Context
	reading  sync.WaitGroup
	mu       sync.Mutex // guards what follows
	expected []string   // parts of messages of the console that may come
	console  []string   // its messages
}

func open(t *testing.T, url string, l look, expected ...string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	p := &page{t: t, ctx: ctx, expected: expected}
	messages := chromedp.Console(ctx)
	p.reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.console = append(p.console, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
			p.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		p.quiet()
		cancel()
		p.reading.Wait()
	})
	p.look(l)
	p.do(chromedp.Navigate(url))
	return p
}

// look applies a look to the page.
func (p *page) look(l look) {
	p.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}, {Name: "prefers-reduced-motion", Value: "no-preference"}}
	if l.dark {
		features[0].Value = "dark"
	}
	if l.still {
		features[1].Value = "reduce"
	}
	p.do(chromedp.EmulateViewport(l.width, l.height))
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		p.t.Fatal(err)
	}
}

// quiet fails the test if the console has a message that is not expected.
func (p *page) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, message := range p.console {
		expected := false
		for _, e := range p.expected {
			expected = expected || strings.Contains(message, e)
		}
		if !expected {
			p.t.Errorf("on the console: %s", message)
		}
	}
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression in the page.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// fetches returns when the page has asked for a path, in milliseconds of its own clock: a busy machine
// delays what the test sees of it.
func (p *page) fetches(path string) []float64 {
	p.t.Helper()
	return eval[[]float64](p, fmt.Sprintf("performance.getEntriesByType('resource').filter(e => new URL(e.name).pathname === %q).map(e => e.startTime)", path))
}

// until waits until a JavaScript expression is true.
func (p *page) until(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience))); err != nil {
		p.t.Fatalf("%s did not become true: %v\nthe page says: %.3000s", expression, err, eval[string](p, "document.body.innerText"))
	}
}

// seen is a JavaScript expression: the visible text of an element, empty if it is hidden.
func seen(selector string) string {
	return fmt.Sprintf("(e => e?.checkVisibility() ? e.innerText : '')(document.querySelector(%q))", selector)
}

// text returns the visible text of the first element that a selector matches.
func (p *page) text(selector string) string {
	p.t.Helper()
	return eval[string](p, seen(selector))
}

// shows waits until an element's visible text contains all the words.
func (p *page) shows(selector string, words ...string) {
	p.t.Helper()
	for _, w := range words {
		p.until(fmt.Sprintf("%s.includes(%q)", seen(selector), w))
	}
}

// live waits until the page receives snapshots.
func (p *page) live() {
	p.t.Helper()
	p.until("document.getElementById('stream').dataset.state === 'live'")
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.do(chromedp.KeyEvent(k))
	}
}

func (p *page) enter(selector, text string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf("(e => { e.focus(); e.select(); return true; })(document.querySelector(%q))", selector))
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// setFiles chooses a file, as the dialog of the browser does.
func setFiles(selector, path string) chromedp.Action[chromedp.Void] {
	return chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path})
}

// choose selects an option as a user does, and fires the change event.
func (p *page) choose(selector, value string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf("(() => { const s = document.querySelector(%q); s.value = %q; return s.dispatchEvent(new Event('change')); })()", selector, value))
}

// picture saves a screenshot of the whole page, if they are asked for.
func (p *page) picture(name string) {
	p.t.Helper()
	p.snap(name, chromedp.FullScreenshot(100))
}

// view saves a screenshot of the window, if they are asked for.
func (p *page) view(name string) {
	p.t.Helper()
	p.snap(name, chromedp.CaptureScreenshot())
}

func (p *page) snap(name string, by chromedp.Action[[]byte]) {
	p.t.Helper()
	if *screenshots == "" {
		return // no test looks at a picture
	}
	png, err := chromedp.Run(p.ctx, by)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

package main

import (
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// observe is added to a page, uses its search and writes what is to be seen into the body.
const observe = `<script>
addEventListener("load", async () => {
  field.value = "lag_hard limits";
  await show();
  document.body.dataset.seen = JSON.stringify({
    results: [...results.querySelectorAll("a")].map((a) => a.getAttribute("href")),
    text: results.textContent,
    menu: document.querySelector("nav details").open,
    overflow: document.documentElement.scrollWidth - innerWidth,
  });
});
</script>`

// On a phone, the page is not wider than the window, the menu is folded, and the search finds
// sections, although the site is only files.
func TestSearchOnAPhone(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no Chromium is installed; apt-get install chromium")
	}
	folder := t.TempDir()
	if err := build("../..", folder); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(folder, "docs", "operations.html")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, append(text, observe...), 0o644); err != nil {
		t.Fatal(err)
	}
	// Virtual time passes when the page has nothing to do, so a busy machine changes nothing.
	out, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--window-size=390,844",
		"--virtual-time-budget=60000", "--dump-dom", "file://"+page).Output()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`data-seen="([^"]*)"`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("the page's script did not end:\n%.2000s", out)
	}
	var seen struct {
		Results  []string
		Text     string
		Menu     bool
		Overflow int
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &seen); err != nil {
		t.Fatal(err)
	}
	if len(seen.Results) == 0 || !slices.Contains(seen.Results, "../config.toml.html#tenant.default.limits") || !strings.Contains(seen.Text, "lag_hard") {
		t.Errorf("the search finds %q, %q", seen.Results, seen.Text)
	}
	if seen.Menu || seen.Overflow > 0 {
		t.Errorf("the menu is open: %t; the page is %d pixels wider than the window", seen.Menu, seen.Overflow)
	}
}

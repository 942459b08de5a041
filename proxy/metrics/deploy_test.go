package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Metrics that client_golang has of every process.
var foreign = []string{"up", "process_start_time_seconds", "process_open_fds", "process_max_fds", "process_cpu_seconds_total",
	"process_resident_memory_bytes", "go_memstats_heap_alloc_bytes", "go_goroutines"}

// Labels that Prometheus gives to everything that it reads from a target. The last one is set as
// docs/operations.md shows.
var ofTargets = []string{"instance", "job", "system"}

var (
	metricName = regexp.MustCompile(`\b(?:switchyard|process|go)_[a-z0-9_]+`)
	labelUsed  = regexp.MustCompile(`(switchyard_[a-z0-9_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// checkUse fails if an expression uses a metric that does not exist.
func checkUse(t *testing.T, where, expression string) {
	t.Helper()
	labels := labelsOf(t)
	names := metricName.FindAllString(expression, -1)
	if len(names) == 0 && !strings.HasPrefix(expression, "up{") {
		t.Errorf("%s: no metric in %q", where, expression)
	}
	var all []string
	for _, name := range names {
		if !slices.Contains(seriesNames(), name) && !slices.Contains(foreign, name) {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		all = append(all, labels[name]...)
	}
	for _, m := range labelUsed.FindAllStringSubmatch(expression, -1) {
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(ofTargets, l[1]) && !slices.Contains(labels[m[1]], l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expression, -1) {
		for _, l := range strings.Split(m[1], ", ") {
			if !slices.Contains(ofTargets, l) && !slices.Contains(all, l) {
				t.Errorf("%s: no metric of %q has a label %s", where, expression, l)
			}
		}
	}
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(expression, pair[:1]) != strings.Count(expression, pair[1:]) {
			t.Errorf("%s: %s do not match in %q", where, pair, expression)
		}
	}
}

// seriesNames returns the names of all series: a histogram has several.
func seriesNames() (names []string) {
	for _, f := range families {
		if f.kind == ofDurations {
			names = append(names, f.name+"_bucket", f.name+"_sum", f.name+"_count")
			continue
		}
		names = append(names, f.name)
	}
	return names
}

// labelsOf returns the labels of each metric of ours.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	labels := make(map[string][]string)
	for _, m := range regexp.MustCompile(`(?m)^(switchyard_\w+)\{(.*)\} `).FindAllStringSubmatch(scrape(t, everything), -1) {
		labels[m[1]] = nil
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			labels[m[1]] = append(labels[m[1]], l[1])
		}
	}
	return labels
}

// Alerts use existing metrics, and each leads to the section that says what to do. Prometheus' own
// test of an alert says when it fires.
func TestAlerts(t *testing.T) {
	const file = "../../deploy/prometheus/switchyard.rules.yml"
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text, operations, tests := read(file), read("../../docs/operations.md"), read(strings.Replace(file, ".yml", ".test.yml", 1))
	rules := strings.Split(text, "      - alert: ")[1:]
	if len(rules) < 10 {
		t.Fatalf("%s has %d alerts", file, len(rules))
	}
	seen := make(map[string]bool)
	for _, rule := range rules {
		name, rest, _ := strings.Cut(rule, "\n")
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		_, expression, ok := strings.Cut(rest, "        expr: ")
		expression, _, _ = strings.Cut(expression, "\n")
		if !ok {
			t.Errorf("%s has no expr", name)
		}
		checkUse(t, name, expression)
		for _, want := range []string{"        labels: {severity: ", "          summary: \"", "          runbook_url: https://switchyard.example.org/docs/operations.html#" + strings.ToLower(name) + "\n"} {
			if !strings.Contains(rest, want) {
				t.Errorf("%s has no %q", name, strings.TrimSpace(want))
			}
		}
		if !strings.Contains(operations, "\n### "+name+"\n") { // whose anchor is the name in small letters
			t.Errorf("docs/operations.md has no section %s, to which its runbook_url leads", name)
		}
		if !strings.Contains(tests, "- alertname: "+name+"\n") {
			t.Errorf("no test in switchyard.rules.test.yml says when %s fires", name)
		}
	}
}

type panel struct {
	ID          int
	Title, Type string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr string }
	Panels      []panel
}

// The panels of the dashboard use existing metrics and do not overlap.
func TestGrafana(t *testing.T) {
	text, err := os.ReadFile("../../deploy/grafana/switchyard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID  string
		Annotations struct{ List []struct{ Expr string } }
		Templating  struct {
			List []struct{ Name, Definition string }
		}
		Panels []panel
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	taken, ids := make(map[[2]int]string), make(map[int]bool)
	all := board.Panels
	for _, p := range board.Panels {
		all = append(all, p.Panels...) // of a row that is collapsed
	}
	for _, p := range all {
		if ids[p.ID] {
			t.Errorf("%s: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			checkUse(t, p.Title, target.Expr)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[name] = true
			}
		}
	}
	for _, a := range board.Annotations.List {
		checkUse(t, "annotation", a.Expr)
	}
	for _, v := range board.Templating.List {
		if v.Definition != "" {
			checkUse(t, v.Name, v.Definition)
		}
	}
	if board.UID == "" || len(shown) < 25 {
		t.Errorf("%d metrics are shown", len(shown))
	}
}

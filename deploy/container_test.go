package deploy

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An instruction is one of a Containerfile.
type instruction struct{ name, text string }

// instructions reads the subset of a Containerfile that ours uses: comments, and lines
// that a backslash continues.
func instructions(t *testing.T, text string) (all []instruction) {
	t.Helper()
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			all = append(all, instruction{name, rest})
		}
	}
	return all
}

// execForm reads a command in exec form: a JSON list of strings, which runs without a shell.
func execForm(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil || len(words) == 0 {
		t.Errorf("%q is not in exec form, so it needs a shell, which the image lacks: %v", text, err)
	}
	return words
}

// instructionsOf returns the texts of a Containerfile's instructions by name.
func instructionsOf(t *testing.T, file string) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for _, i := range instructions(t, read(t, file)) {
		got[i.name] = append(got[i.name], i.text)
	}
	return got
}

func TestContainerfile(t *testing.T) {
	got := instructionsOf(t, "container/Containerfile")
	for name, want := range map[string][]string{
		"FROM":       {"scratch"},
		"ARG":        {"TARGETARCH=amd64"},
		"USER":       {"65532:65532"},
		"ENV":        {"XDG_CACHE_HOME=/var/lib"},
		"EXPOSE":     {"8200"},
		"STOPSIGNAL": {"SIGTERM"},
		"COPY": {
			"--chmod=755 switchyard-linux-${TARGETARCH} /switchyard",
			"--chmod=644 config.toml /etc/switchyard/config.toml",
			"--chown=65532:65532 --chmod=700 state /var/lib/switchyard",
		},
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"ENTRYPOINT", "CMD", "HEALTHCHECK"} {
		if len(got[name]) != 1 {
			t.Fatalf("%s is %q, want one", name, got[name])
		}
	}
	if len(got) != 10 {
		t.Errorf("this test does not know some of the instructions: %v", got)
	}
	if entry := execForm(t, got["ENTRYPOINT"][0]); !slices.Equal(entry, []string{"/switchyard"}) {
		t.Errorf("ENTRYPOINT is %q", entry)
	}
	serve := execForm(t, got["CMD"][0])
	if want := []string{"serve", "--config", "/etc/switchyard/config.toml"}; !slices.Equal(serve, want) {
		t.Errorf("CMD is %q, want %q", serve, want)
	}
	options, health, _ := strings.Cut(got["HEALTHCHECK"][0], "CMD ")
	if !strings.Contains(options, "--timeout=6s") { // the command gives up after 5s
		t.Errorf("HEALTHCHECK has the options %q", options)
	}
	if want := []string{"/switchyard", "health", "--address", shipped(t, "admin", "address")}; !slices.Equal(execForm(t, health), want) {
		t.Errorf("HEALTHCHECK runs %q, want %q", health, want)
	}
}

func TestContainerConfiguration(t *testing.T) {
	text := read(t, "container/config.toml")
	if !strings.Contains(text, `address = ":8200"`) || !strings.Contains(text, "\nallow = [") || strings.Contains(text, "insecure_open") {
		t.Errorf("want a listener that only private networks reach:\n%s", text)
	}
}

func TestContainerfileOfTheBus(t *testing.T) {
	want := map[string][]string{
		"FROM":       {"scratch"},
		"ARG":        {"TARGETARCH=amd64"},
		"USER":       {"65532:65532"},
		"EXPOSE":     {"4222 6222"},
		"STOPSIGNAL": {"SIGTERM"},
		"COPY": {
			"--chmod=755 yardbus-linux-${TARGETARCH} /yardbus",
			"--chown=65532:65532 --chmod=700 state /var/lib/yardbus",
		},
		"ENTRYPOINT": {`["/yardbus", "--store", "/var/lib/yardbus"]`},
	}
	got := instructionsOf(t, "container/yardbus.Containerfile")
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	execForm(t, got["ENTRYPOINT"][0])
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file of testdata/bad has one mistake, after which it is named. It begins with what check
// must print about it, in lines "# want: TEXT".
func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 40 {
		t.Fatalf("got %d files, %v, want at least 40", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			t.Parallel()
			wants := wantsOf(t, file)
			if len(wants) == 0 {
				t.Fatalf("%s does not begin with a line \"# want: TEXT\"", file)
			}
			var out bytes.Buffer
			if code := run([]string{"check", "--config", file}, nil, &out, &out); code != exitConfig {
				t.Errorf("exit code %d, want %d", code, exitConfig)
			}
			for _, want := range wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in what is printed:\n%s", want, out.String())
				}
			}
		})
	}
}

func wantsOf(t *testing.T, file string) (wants []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if want, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# want: "); ok && want != "" {
			wants = append(wants, want)
		}
	}
	return wants
}

package main

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// CONTRIBUTING.md names a command for each go:generate directive, only tests that exist,
// and what .ci/run installs.
func TestContributing(t *testing.T) {
	t.Parallel()
	text := document(t, filepath.Join(root, "CONTRIBUTING.md"))
	var tests strings.Builder
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		source := string(read(t, name))
		if strings.HasSuffix(name, "_test.go") {
			tests.WriteString(source)
		} else if strings.Contains(source, "\n//go:generate ") && !strings.Contains(text, "`go generate ./"+path.Dir(name)+"`") {
			t.Errorf("CONTRIBUTING.md does not name go generate ./%s", path.Dir(name))
		}
	})
	for _, name := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("CONTRIBUTING.md names %s, which is not a test", name[1])
		}
	}
	installed := regexp.MustCompile(`missing\+=\((.*?)\)`).FindAllStringSubmatch(string(read(t, ".ci/run")), -1)
	if len(installed) == 0 {
		t.Error(".ci/run installs nothing that this test recognizes")
	}
	_, list, _ := strings.Cut(text, "apt-get install ")
	list, _, _ = strings.Cut(list, "```")
	for _, match := range installed {
		for _, name := range strings.Fields(match[1]) {
			if !strings.Contains(" "+strings.Join(strings.Fields(list), " ")+" ", " "+name+" ") {
				t.Errorf("CONTRIBUTING.md does not name %s, which .ci/run installs", name)
			}
		}
	}
}

// Package scaffold creates the folder of a new policy, which builds, passes its tests and
// loads without a change, wherever it is. It runs no tool.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"switchyard/plugins/sdk"
	"switchyard/plugins/toolchain"
)

// files are the templates: common ones, and a folder of more for each language. New drops
// the suffix .txt, which keeps this module's build from seeing Go files.
//
//go:embed files
var files embed.FS

// A kit is what differs between the languages. README.md and config.toml of the new folder are common
// templates, whose {{placeholders}} these texts fill. For Go and the name acme:
//
//	A policy for Switchyard, {{how}}        A policy for Switchyard, in Go
//	`{{source}}` is the policy{{sdk}}       `main.go` is the policy, `main_test.go` its test, …
//	policy = "file:{{policy}}"              policy = "file:acme.wasm"
type kit struct {
	how    string            // how the policy is written, in prose
	rule   string            // the example's rule, in prose
	source string            // the file with the rule
	policy string            // the file to serve; "" stands for the built module
	copies map[string]string // from folders in sdk.Files to folders of the policy
	sdk    string            // where the SDK and the tests are, in prose
	tests  func() []string   // the commands that run the language's own tests
}

const singleChats = "a single chat goes only to the servers that hold one of its two users"

var kits = map[toolchain.Language]kit{
	toolchain.Table: {
		how: "a routing table", source: toolchain.RoutesFile, policy: toolchain.RoutesFile,
		rule:  "a typing notice goes only to the servers that hold one of its two users",
		tests: commands(),
	},
	toolchain.Go: {
		how: "in Go", source: "main.go", rule: singleChats,
		sdk:   ", `main_test.go` its test, `switchyard` the SDK",
		tests: commands("go test ./..."),
	},
	toolchain.C: {
		how: "in C", source: "policy.c", rule: singleChats,
		sdk:    ", `policy_test.c` its test, `switchyard.h` the SDK",
		copies: map[string]string{"c": "."},
		tests:  commands("clang -Wall -Wextra -o policy_test policy_test.c", "./policy_test"),
	},
	toolchain.Rust: {
		how: "in Rust", source: "src/lib.rs", rule: singleChats,
		sdk:    " with its tests, `sdk` the SDK",
		copies: map[string]string{"rust": "sdk"},
		tests:  rustTests,
	},
	toolchain.AssemblyScript: {
		how: "in AssemblyScript", source: "policy.ts", rule: singleChats,
		sdk:    ", `policy.test.mjs` its test, `sdk` the SDK",
		copies: map[string]string{"assemblyscript/assembly": "sdk"},
		tests:  commands("npm install", "npm test"),
	},
}

func commands(lines ...string) func() []string { return func() []string { return lines } }

// rustTests runs the tests of a crate by cargo, or by the compiler if there is no cargo,
// as with Debian's rustc.
func rustTests() []string {
	if _, err := exec.LookPath("cargo"); err == nil {
		return []string{"cargo test"}
	}
	return []string{
		"mkdir -p target",
		"rustc --edition 2021 --crate-type rlib --crate-name switchyard -o target/libswitchyard.rlib sdk/src/lib.rs",
		"rustc --edition 2021 --test --extern switchyard=target/libswitchyard.rlib -o target/tests src/lib.rs",
		"target/tests",
	}
}

// names are the allowed names of policies, but for their length.
var names = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// ErrName is the error of New for a name that is not allowed.
var ErrName = errors.New("a policy's name is a small letter and up to 39 small letters, digits and hyphens")

// New creates the folder name in dir, whole or not at all. An existing folder must be
// empty. The files are written to a temporary folder beside it, which is then renamed:
//
//	dir/.new-123/name/…    written
//	dir/name               removed if it is there and empty; then the rename
func New(dir, name string, language toolchain.Language) error {
	if len(name) > 40 || !names.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	final := filepath.Join(dir, name)
	if err := free(final); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fresh := filepath.Join(scratch, name)
	for file, text := range contents(name, language) {
		if err := write(filepath.Join(fresh, filepath.FromSlash(file)), text); err != nil {
			return err
		}
	}
	if err := os.Remove(final); err != nil && !errors.Is(err, fs.ErrNotExist) { // free has seen that it is empty
		return err
	}
	return os.Rename(fresh, final)
}

// free returns an error if something is in the way of the folder.
func free(folder string) error {
	info, err := os.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is there already, and no folder; take another name", folder)
	}
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the folder %s is not empty; take another name, or remove it", folder)
	}
	return err
}

func write(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o666)
}

// contents returns the files of a new folder by their paths.
func contents(name string, language toolchain.Language) map[string][]byte {
	all := make(map[string][]byte)
	add(all, files, "files", ".", false)
	add(all, files, path.Join("files", string(language)), ".", true)
	for from, to := range kits[language].copies {
		add(all, sdk.Files, from, to, true)
	}
	for _, filled := range []string{"README.md", "config.toml"} {
		all[filled] = []byte(fill(string(all[filled]), name, language))
	}
	return all
}

// add adds the files of a folder, with its subfolders if deep is true.
func add(all map[string][]byte, from fs.FS, folder, to string, deep bool) {
	err := fs.WalkDir(from, folder, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			name := strings.TrimSuffix(strings.TrimPrefix(file, folder+"/"), ".txt")
			if name == "gitignore" {
				name = "." + name
			}
			all[path.Join(to, name)], err = fs.ReadFile(from, file)
		case file != folder && !deep:
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		panic(err) // reading embedded files cannot fail
	}
}

// fill replaces the {{placeholders}} of a text.
func fill(text, name string, language toolchain.Language) string {
	k := kits[language]
	return strings.NewReplacer("{{name}}", name, "{{how}}", k.how, "{{rule}}", k.rule, "{{source}}", k.source, "{{sdk}}", k.sdk,
		"{{policy}}", k.served(name), "{{steps}}", strings.Join(Steps(name, language)[1:], "\n")).Replace(text)
}

// served returns the file that the configuration of the new policy names.
func (k kit) served(name string) string {
	if k.policy != "" {
		return k.policy
	}
	return name + ".wasm"
}

// Steps returns the next steps as shell commands: enter the folder, run the tests in the
// policy's language, build it, run its cases, and check the configuration that serves it.
func Steps(name string, language toolchain.Language) []string {
	k := kits[language]
	steps := append([]string{"cd " + name}, k.tests()...)
	if k.policy == "" {
		steps = append(steps, "switchyard policy build . -o "+k.served(name))
	}
	return append(steps, "switchyard policy test "+k.served(name)+" cases.toml", "switchyard check")
}

// Package scaffold makes the folder of a new policy: one that builds, passes its
// tests and loads as it stands, wherever it is. It runs no tool.
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

// files are what is written: those in the folder of a language, and below them those
// that all have. A name that ends with .txt loses that; here, Go would take it for
// its own.
//
//go:embed files
var files embed.FS

// A kit is what the folders of a language differ in.
type kit struct {
	how    string            // the policy is written, in prose
	rule   string            // the example, in prose
	source string            // its file
	policy string            // the file that is served, or "" for the module
	copies map[string]string // folders in sdk.Files, and below the policy's
	sdk    string            // where it and the tests are, in prose
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

// rustTests is what runs the tests of a crate: cargo, or where there is none, as with
// Debian's rustc, the compiler.
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

// names are what policies may be called.
var names = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// ErrName is the error about a name that is not taken.
var ErrName = errors.New("a policy's name is a small letter and up to 39 small letters, digits and hyphens")

// New makes the folder name in dir. It is there whole or not at all; one that is
// there already has to be empty.
func New(dir, name string, language toolchain.Language) error {
	if !names.MatchString(name) {
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
	if err := os.Remove(final); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty
		return err
	}
	return os.Rename(fresh, final)
}

// free returns an error unless the folder can be made.
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

// contents returns the files of a folder, by their paths in it.
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

// add adds the files of a folder, and if deep those of the folders in it.
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
		panic(err) // what is embedded can be read
	}
}

// fill puts words in place of the {{placeholders}} of a text.
func fill(text, name string, language toolchain.Language) string {
	k := kits[language]
	return strings.NewReplacer("{{name}}", name, "{{how}}", k.how, "{{rule}}", k.rule, "{{source}}", k.source, "{{sdk}}", k.sdk,
		"{{policy}}", k.served(name), "{{steps}}", strings.Join(Steps(name, language)[1:], "\n")).Replace(text)
}

func (k kit) served(name string) string {
	if k.policy != "" {
		return k.policy
	}
	return name + ".wasm"
}

// Steps returns what to do next, as lines for a shell: to enter the folder, to run
// the tests in the policy's language, to build it, to try it and to check what
// serves with it.
func Steps(name string, language toolchain.Language) []string {
	k := kits[language]
	steps := append([]string{"cd " + name}, k.tests()...)
	if k.policy == "" {
		steps = append(steps, "switchyard policy build . -o "+k.served(name))
	}
	return append(steps, "switchyard policy test "+k.served(name)+" cases.toml", "switchyard check")
}

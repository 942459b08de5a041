// Package toolchain builds the module of a policy from its source, with the
// compiler of its language. It installs no compiler and checks no module: the gates of
// package wasm come later.
package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"switchyard/plugins/source"
)

// A Language is a language of policies.
type Language string

// The languages. A table is compiled without any tool.
const (
	Table          Language = "table"
	Go             Language = "go"
	C              Language = "c"
	Rust           Language = "rust"
	AssemblyScript Language = "assemblyscript"
)

// Languages lists all languages in the order in which help texts name them.
var Languages = []Language{Table, Go, C, Rust, AssemblyScript}

// RoutesFile is the name of the table in the folder of a policy.
const RoutesFile = "routes.toml"

// maxTable is how many bytes of a table are read. It is above table.MaxSize, so that a table that is
// too large is refused by the error of package table, which says what to do.
const maxTable = 4 << 20

// A MissingError means that a tool is not installed.
type MissingError struct {
	Tool    string // what was looked for
	Install string // how to install it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("looked for %s and did not find it; %s", e.Tool, e.Install)
}

// Build returns the module of the table or of the policy's folder at path. Compilers
// write to output. The error is a *MissingError if a tool is not installed; other errors
// are faults of the source.
func Build(ctx context.Context, path string, output io.Writer) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return buildFolder(ctx, path, output)
	case filepath.Ext(path) == ".toml":
		return buildTable(path)
	case filepath.Ext(path) == ".wasm":
		return nil, fmt.Errorf("%s is a module, which is built already; name a table (.toml), or the folder of a policy", path)
	}
	return nil, fmt.Errorf("%s is neither a table (.toml) nor a folder; name a table, or the folder that the policy's files are in", path)
}

// buildTable compiles a table, with those that it extends, as the server does.
func buildTable(path string) ([]byte, error) {
	t, err := source.ReadTable(path, 10*time.Millisecond, maxTable)
	if err != nil {
		return nil, err
	}
	return t.Module(), nil
}

// buildFolder builds the policy of a folder in a temporary folder, which it removes.
func buildFolder(ctx context.Context, dir string, output io.Writer) ([]byte, error) {
	language, err := Detect(dir)
	if err != nil {
		return nil, err
	}
	if language == Table {
		return buildTable(filepath.Join(dir, RoutesFile))
	}
	scratch, err := os.MkdirTemp("", "switchyard-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	if scratch, err = filepath.Abs(scratch); err != nil { // compilers run in dir
		return nil, err
	}
	b := &build{ctx: ctx, dir: dir, scratch: scratch, output: output}
	if err := compilers[language](b); err != nil {
		return nil, err
	}
	return os.ReadFile(b.module())
}

// Detect returns the language of the policy in a folder, by the files in it. Files of two languages are
// an error: which of them is meant cannot be known, and a module of the wrong one would route.
func Detect(dir string) (Language, error) {
	var found []Language
	var by []string
	for _, language := range Languages {
		for _, pattern := range signs[language] {
			names, err := matching(dir, pattern)
			if err != nil {
				return "", err
			}
			if len(names) > 0 {
				found, by = append(found, language), append(by, names[0])
				break
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%s holds no policy: there is neither %s, go.mod, a *.c, Cargo.toml, a *.rs, asconfig.json nor package.json; make one with 'switchyard policy new'", dir, RoutesFile)
	}
	return "", fmt.Errorf("%s holds policies in more than one language: %s; give each a folder of its own, or name the table itself", dir, strings.Join(by, ", "))
}

// signs are the patterns of the files by which Detect recognizes a language.
var signs = map[Language][]string{
	Table:          {RoutesFile},
	Go:             {"go.mod"},
	C:              {"*.c"},
	Rust:           {"Cargo.toml", "*.rs"},
	AssemblyScript: {"asconfig.json", "package.json"},
}

// matching returns the names of the files in a folder that match a pattern.
func matching(dir, pattern string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

var errNotBuilt = errors.New("it does not compile; the compiler's messages are above")

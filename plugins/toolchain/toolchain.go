// Package toolchain builds the module of a policy from its source, with the
// compiler of its language. It installs no compiler, and judges no module: a
// module that was built has passed no gate yet.
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

	"switchyard/policy/stablefile"
	"switchyard/policy/table"
)

// A Language is one that policies are written in.
type Language string

// The languages. A table is compiled without any tool.
const (
	Table          Language = "table"
	Go             Language = "go"
	C              Language = "c"
	Rust           Language = "rust"
	AssemblyScript Language = "assemblyscript"
)

// Languages is all of them, as they are offered.
var Languages = []Language{Table, Go, C, Rust, AssemblyScript}

// RoutesFile is what the table is called in the folder of a policy that is one.
const RoutesFile = "routes.toml"

// maxTable is the largest table that is read, in bytes.
const maxTable = 4 << 20

// A MissingError is a tool that is not installed.
type MissingError struct {
	Tool    string // what was looked for
	Install string // how it comes here
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("looked for %s and did not find it; %s", e.Tool, e.Install)
}

// Build returns the module of the table, or of the policy in the folder, at path.
// What compilers say goes to said. A *MissingError says what is not installed;
// other errors are faults of what is built.
func Build(ctx context.Context, path string, said io.Writer) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return buildFolder(ctx, path, said)
	case filepath.Ext(path) == ".toml":
		return buildTable(path)
	case filepath.Ext(path) == ".wasm":
		return nil, fmt.Errorf("%s is a module, which is built already; name a table (.toml), or the folder of a policy", path)
	}
	return nil, fmt.Errorf("%s is no table (.toml) and no folder; name a table, or the folder that the policy's files are in", path)
}

func buildTable(path string) ([]byte, error) {
	src, err := stablefile.Read(path, 10*time.Millisecond, maxTable)
	if err != nil {
		return nil, err
	}
	return table.Compile(path, src)
}

func buildFolder(ctx context.Context, dir string, said io.Writer) ([]byte, error) {
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
	b := &build{ctx: ctx, dir: dir, scratch: scratch, said: said}
	if err := compilers[language](b); err != nil {
		return nil, err
	}
	return os.ReadFile(b.module())
}

// Detect returns the language of the policy in a folder, told by its files.
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

// signs are the files, as patterns, by which a language is told.
var signs = map[Language][]string{
	Table:          {RoutesFile},
	Go:             {"go.mod"},
	C:              {"*.c"},
	Rust:           {"Cargo.toml", "*.rs"},
	AssemblyScript: {"asconfig.json", "package.json"},
}

// matching returns the names of a folder's files that match a pattern.
func matching(dir, pattern string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

var errNotBuilt = errors.New("it does not compile; what the compiler says stands above")

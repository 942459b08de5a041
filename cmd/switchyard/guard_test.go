package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Tests hold the rules that carry the architecture. They read the source of the whole
// module for all systems, not only the files that this system builds.

const (
	root   = "../.."
	module = "switchyard"
)

// core lists the packages that decide and route. Their callers give them everything they
// work on.
var core = []string{"pdu", "pdu/body", "policy", "policy/abi", "policy/command", "policy/release", "proxy/hub", "proxy/order", "proxy/presence", "proxy/tenant"}

// imports says which packages may not import what, outside tests. "x/..." is x and
// all below it, "..." is everything.
var imports = []struct {
	packages []string
	except   []string
	not      []string
	but      []string // of these
	because  string
}{
	{
		packages: core,
		not:      []string{"net/...", "os/...", "log/..."},
		but:      []string{"net/netip"}, // addresses, and nothing that opens one
		because:  "the core opens nothing: sockets, files and logs belong to the outer layer, so that the core can be tested without them",
	},
	{
		packages: []string{"pdu/..."},
		except:   []string{"pdu/pb/gen"},
		not:      []string{module + "/policy/...", module + "/plugins/...", module + "/proxy/...", module + "/cmd/..."},
		because:  "imports point one way: cmd, then proxy and plugins, then policy, then pdu",
	},
	{
		packages: []string{"policy/..."},
		not:      []string{module + "/plugins/...", module + "/proxy/...", module + "/cmd/..."},
		because:  "imports point one way: cmd, then proxy and plugins, then policy, then pdu",
	},
	{
		packages: []string{"plugins/..."},
		not:      []string{module + "/proxy/...", module + "/cmd/..."},
		because:  "plugins are policies and the tools to make them; none of them needs a connection",
	},
	{
		packages: []string{"proxy/..."},
		not:      []string{module + "/plugins/...", module + "/cmd/..."},
		because:  "the hub runs any policy and knows none",
	},
	{
		packages: []string{"proxy/config"},
		not:      []string{module + "/proxy/...", module + "/policy/wasm/..."},
		but:      []string{module + "/proxy/tenant"},
		because:  "the configuration uses the words and rules of the core, and nothing that acts on them",
	},
	{
		packages: []string{"proxy/handover"},
		not:      []string{module + "/..."},
		because:  "it carries the bytes and descriptors that it is given; what they mean is the business of those who send and adopt them",
	},
	{
		packages: []string{"proxy/cluster"},
		not:      []string{module + "/...", "net/..."},
		but:      []string{module + "/proxy/order"},
		because:  "what a hub of a cluster does follows from the order alone; it knows no engine, and the hub by its methods",
	},
	{
		packages: []string{"policy/abi"},
		not:      []string{"..."},
		because:  "it is names and numbers that a guest in any language has to agree on",
	},
	{
		packages: []string{"pdu"},
		not:      []string{module + "/..."},
		because:  "what a PDU is depends on nothing that is done with one",
	},
	{
		packages: []string{"..."},
		except:   []string{"policy/wasm/..."},
		not:      []string{"github.com/tetratelabs/wazero/..."},
		because:  "one package knows the engine; policy/table, too, only writes bytes that any engine could run",
	},
	{
		packages: []string{"..."},
		except:   []string{"plugins/source/remote"},
		not:      []string{"oras.land/...", "github.com/opencontainers/..."},
		because:  "one package knows registries, so that nothing else can call one",
	},
	{
		packages: []string{"..."},
		except:   []string{"proxy/order/jetstream/..."},
		not:      []string{"github.com/nats-io/nats.go/..."},
		because:  "one package knows the bus, so that another engine can take its place",
	},
	{
		packages: []string{"..."},
		except:   []string{"cmd/yardbus"},
		not:      []string{"github.com/nats-io/nats-server/..."},
		because:  "the bus is a process of its own, so that a hub contains no server",
	},
	{
		packages: []string{"..."},
		except:   []string{"cmd/switchyard", "cmd/switchyard/schema", "cmd/switchyard/server", "cmd/switchyard/trust", "cmd/yardbus", "proxy/config/..."},
		not:      []string{module + "/proxy/config"},
		because:  "parts are handed what they need; a part that reads the configuration itself cannot be built without a file",
	},
	{
		packages: []string{"..."},
		except:   []string{"cmd/..."},
		not:      []string{module + "/cmd/..."},
		because:  "the command is the only place where the parts meet, so no part can know it",
	},
	{
		packages: []string{"cmd/switchyard/server", "cmd/switchyard/trust"},
		not:      []string{module + "/cmd/switchyard/client/...", "github.com/spf13/cobra"},
		because:  "the server is not a client of itself, and knows no command line",
	},
	{
		packages: []string{"cmd/switchyard/client/..."},
		not:      []string{module + "/cmd/switchyard/server", module + "/cmd/switchyard/trust"},
		because:  "a client knows the server by its admin interface alone",
	},
	{
		packages: []string{"..."},
		except:   []string{"proxy/order/jetstream/bustest"}, // itself one of them
		not:      []string{module + "/cmd/switchyard/dialogue", module + "/pdu/pdutest", module + "/policy/policytest", module + "/proxy/hub/hubtest", module + "/proxy/order/jetstream/bustest", module + "/proxy/order/ordertest", module + "/proxy/logtest", module + "/proxy/certificate/authority", module + "/cmd/switchyard/client/terminal/pty"},
		because:  "these help tests only",
	},
}

func TestImports(t *testing.T) {
	t.Parallel()
	files := goFiles(t)
	for _, rule := range imports {
		for _, name := range slices.Concat(rule.packages, rule.except) {
			if !slices.ContainsFunc(files, func(f file) bool { return matches(name, f.dir) }) {
				t.Errorf("a rule is about package %s, which is not there", name)
			}
		}
		for _, f := range files {
			if f.test || !matchesAny(rule.packages, f.dir) || matchesAny(rule.except, f.dir) {
				continue
			}
			for _, spec := range f.Imports {
				if imported := importPath(spec); matchesAny(rule.not, imported) && !matchesAny(rule.but, imported) {
					t.Errorf("%s imports %s: %s", f.path, imported, rule.because)
				}
			}
		}
	}
}

// clock lists the functions of package time that read the clock or wait. Every package may
// use the rest, types and their arithmetic.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// The core is passive, and its caller gives it the time. So a test determines the order of
// events.
func TestCoreStartsNothing(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if f.test || !slices.Contains(core, f.dir) {
			continue
		}
		timeName := f.importName("time")
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: the core starts none", f.position(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == timeName && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s uses time.%s: the caller gives the core the time", f.position(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// A package comment states the one job of a package and its border, once.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	comments := map[string]int{} // by folder
	for _, f := range goFiles(t) {
		switch {
		case f.test && f.Doc != nil:
			t.Errorf("%s: a test's file has the package's comment", f.path)
		case f.test:
		case f.Doc == nil:
			comments[f.dir] += 0
		default:
			comments[f.dir]++
			if name := f.Name.Name; name != "main" && !strings.HasPrefix(f.Doc.Text(), "Package "+name+" ") {
				t.Errorf("%s: the package's comment does not begin with \"Package %s\"", f.path, name)
			}
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", dir, n)
		}
	}
}

// nameless are names that do not describe a package's content, so that anything ends up
// there.
var nameless = []string{"common", "helper", "helpers", "internal", "misc", "types", "util", "utils"}

func TestPackageNames(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		for _, name := range append(strings.Split(f.dir, "/"), f.Name.Name) {
			if slices.Contains(nameless, strings.TrimSuffix(name, "_test")) {
				t.Errorf("%s: a package called %q has no job of its own", f.path, name)
			}
		}
	}
}

// longest is the number of lines up to which a file still has one subject.
const longest = 400

func TestFileLengths(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if lines := bytes.Count(f.text, []byte("\n")); lines > longest && !strings.HasSuffix(f.path, ".pb.go") {
			t.Errorf("%s has %d lines, want at most %d: a part of it has a name of its own", f.path, lines, longest)
		}
	}
}

// What is checked in works wherever it is checked out.
func TestNoPathsOfOneMachine(t *testing.T) {
	t.Parallel()
	foreign := []string{"/wo" + "rk/", "../sha" + "red", "/ro" + "ot/"}
	walk(t, func(name string) {
		text := read(t, name)
		for _, place := range foreign {
			if i := bytes.Index(text, []byte(place)); i >= 0 {
				t.Errorf("%s, line %d: mentions %s, which is not in the repository", name, 1+bytes.Count(text[:i], []byte("\n")), place)
			}
		}
	})
}

// A file is one of Go, parsed.
type file struct {
	*ast.File
	path string // from the module's root, with slashes
	dir  string
	test bool
	text []byte
	set  *token.FileSet
}

// goFiles returns the module's Go files, but for testdata, parsed once for all tests.
func goFiles(t *testing.T) []file {
	t.Helper()
	files, err := parseGoFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var parseGoFiles = sync.OnceValues(func() (files []file, err error) {
	err = walkFiles(func(name string) error {
		if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
			return nil
		}
		text, err := readFile(name)
		if err != nil {
			return err
		}
		f := file{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), text: text, set: token.NewFileSet()}
		f.File, err = parser.ParseFile(f.set, name, f.text, parser.ParseComments|parser.SkipObjectResolution)
		files = append(files, f)
		return err
	})
	return files, err
})

// walk visits every file that is, or could be, checked in.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := walkFiles(func(name string) error {
		visit(name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// walkFiles is walk for a function that can fail.
func walkFiles(visit func(name string) error) error {
	built := []string{"/switchyard", "*.test", "*.out"} // as in .gitignore
	return filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir() && (name == ".git" || name == "dist" || path.Base(name) == "node_modules"):
			return fs.SkipDir
		case !d.Type().IsRegular() || name == ".git": // a file in a worktree
			return nil
		}
		for _, pattern := range built {
			if ok, _ := path.Match(pattern, path.Base(name)); ok || "/"+name == pattern {
				return nil
			}
		}
		return visit(name)
	})
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := readFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
}

func (f file) position(n ast.Node) token.Position { return f.set.Position(n.Pos()) }

// importName is what an import is called in the file, or nothing.
func (f file) importName(imported string) string {
	for _, spec := range f.Imports {
		switch {
		case importPath(spec) != imported:
		case spec.Name != nil:
			return spec.Name.Name
		default:
			return path.Base(imported)
		}
	}
	return ""
}

func importPath(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has taken it
	}
	return imported
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches reads patterns as go list does.
func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	below, ok := strings.CutSuffix(pattern, "/...")
	return name == below || ok && strings.HasPrefix(name, below+"/")
}

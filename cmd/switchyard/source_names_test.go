package main

import (
	"go/ast"
	"go/scanner"
	"go/token"
	"io"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// sourceNames is what the source declares and what its strings and other files say,
// without documents and comments of Go.
type sourceNames struct {
	files   map[string]bool            // paths of files and folders, from the module's root, and of imports
	bases   map[string]bool            // the last elements of those
	members map[string]map[string]bool // of packages, types and the configuration's tables, by their name
	words   map[string]bool
	flags   map[string]bool
	command *cobra.Command
}

// readSource reads the source once for all tests.
func readSource(t *testing.T) *sourceNames {
	t.Helper()
	source, err := readSourceOnce()
	if err != nil {
		t.Fatal(err)
	}
	return source
}

var readSourceOnce = sync.OnceValues(func() (*sourceNames, error) {
	s := &sourceNames{files: map[string]bool{}, bases: map[string]bool{}, members: map[string]map[string]bool{},
		words: map[string]bool{}, flags: map[string]bool{}, command: rootCommand(nil, io.Discard, io.Discard)}
	err := walkFiles(func(name string) error {
		s.addPath(name)
		switch path.Ext(name) {
		case ".go", ".md", ".wasm", ".pcapng":
			return nil
		}
		text, err := readFile(name)
		s.addWords(string(text))
		return err
	})
	if err != nil {
		return nil, err
	}
	configuration, err := readFile("config.toml")
	if err != nil {
		return nil, err
	}
	s.addKeys(string(configuration))
	files, err := parseGoFiles()
	for _, f := range files {
		for _, spec := range f.Imports {
			s.addPath(importPath(spec))
		}
		s.addTokens(f)
		s.addDeclarations(f)
	}
	s.addFlags(s.command)
	return s, err
})

func (s *sourceNames) addPath(p string) {
	for ; p != "."; p = path.Dir(p) {
		s.files[p], s.bases[path.Base(p)] = true, true
	}
}

func (s *sourceNames) addMember(of, name string) {
	if s.members[of] == nil {
		s.members[of] = map[string]bool{}
	}
	s.members[of][name] = true
}

// notInWord reports whether r separates words.
func notInWord(r rune) bool {
	return r != '_' && r != '.' && r != '-' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9')
}

// addWords adds the words of a text and what they are made of.
func (s *sourceNames) addWords(text string) {
	for w := range strings.FieldsFuncSeq(text, notInWord) {
		w = strings.TrimLeft(w, "0123456789.-")
		s.words[strings.TrimRight(w, ".-")] = true
		for dotted := range strings.SplitSeq(w, ".") {
			s.words[dotted] = true
			for part := range strings.SplitSeq(dotted, "-") {
				s.words[part] = true
			}
		}
	}
}

var (
	configTable = regexp.MustCompile(`^#?\[+([\w.]+)\]+$`)
	configKey   = regexp.MustCompile(`^#?(\w+) = `)
)

// addKeys adds the keys of the configuration as members of their tables.
func (s *sourceNames) addKeys(configuration string) {
	table := ""
	for line := range strings.Lines(configuration) {
		if m := configTable.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			parts := strings.Split(m[1], ".")
			for i, part := range parts[1:] {
				s.addMember(parts[i], part)
			}
			table = parts[len(parts)-1]
		} else if m := configKey.FindStringSubmatch(line); m != nil {
			s.addMember(table, m[1])
		}
	}
}

// addTokens adds the names and texts of a Go file, and none of its comments.
func (s *sourceNames) addTokens(f file) {
	var scan scanner.Scanner
	scan.Init(token.NewFileSet().AddFile(f.path, -1, len(f.text)), f.text, nil, 0)
	for {
		_, tok, text := scan.Scan()
		switch tok {
		case token.EOF:
			return
		case token.IDENT:
			s.words[text] = true
		case token.STRING:
			if !f.test { // tests name what there is not
				s.addWords(text)
			}
		}
	}
}

// addDeclarations adds what a package declares, the fields of its structs, and methods.
func (s *sourceNames) addDeclarations(f file) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				s.addMember(f.Name.Name, d.Name.Name)
			} else {
				s.addMember(receiver(d), d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						s.addMember(f.Name.Name, name.Name)
					}
				case *ast.TypeSpec:
					s.addMember(f.Name.Name, spec.Name.Name)
					s.addFields(spec)
				}
			}
		}
	}
}

func (s *sourceNames) addFields(spec *ast.TypeSpec) {
	var list *ast.FieldList
	switch x := spec.Type.(type) {
	case *ast.StructType:
		list = x.Fields
	case *ast.InterfaceType:
		list = x.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			s.addMember(spec.Name.Name, name.Name)
		}
	}
}

// receiver returns the name of the type whose method it is.
func receiver(d *ast.FuncDecl) string {
	x := d.Recv.List[0].Type
	for {
		switch of := x.(type) {
		case *ast.StarExpr:
			x = of.X
		case *ast.IndexExpr:
			x = of.X
		case *ast.Ident:
			return of.Name
		default:
			return ""
		}
	}
}

// flagOfUsage finds a flag at the beginning of its line.
var flagOfUsage = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[-a-z0-9]+)`)

func (s *sourceNames) addFlags(c *cobra.Command) {
	for _, flag := range flagOfUsage.FindAllStringSubmatch(c.Flags().FlagUsages()+c.PersistentFlags().FlagUsages(), -1) {
		s.flags[flag[1]] = true
	}
	for _, sub := range c.Commands() {
		s.addFlags(sub)
	}
}

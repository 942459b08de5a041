package main

import (
	"go/ast"
	"go/scanner"
	"go/token"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// A name in backticks is a promise that it exists: a rename that forgets a document
// fails here.
func TestNamesOfDocuments(t *testing.T) {
	source := readSource(t)
	for _, name := range documents(t) {
		if strings.Contains(name, "CHANGELOG") {
			continue // names what was removed, too
		}
		for _, span := range codeSpans(document(t, name)) {
			if why := source.unknown(span, filepath.Dir(name)); why != "" {
				t.Errorf("%s: `%s`: %s", name, span, why)
			}
		}
	}
}

func TestNamesAreUnknown(t *testing.T) {
	source := readSource(t)
	for span, want := range map[string]string{
		"Hub.Handle":                       "",
		"hub.Counts":                       "",
		"capture.buffer.mu":                "",
		"peer.max_pdu":                     "",
		"proxy/hub/route.go":               "",
		"switchyard policy diff A B":       "",
		"switchyard_pdus_dropped_total":    "",
		"[tenant.NAME.quota]":              "",
		"IM.Server.IMRoleSet":              "",
		"github.com/spf13/cobra":           "",
		"go test ./proxy -bench Floor":     "",
		"Hub.Handel":                       "Hub has no Handel",
		"hub.Kounts":                       "hub has no Kounts",
		"Hubb.Handle":                      "no Hubb.Handle in the source",
		"limits.logs":                      "limits has no logs",
		"peer.max_pdus":                    "peer has no max_pdus",
		"IM.Server.IMRolSet":               "Server has no IMRolSet",
		"github.com/spf13/cobrra":          "no such file",
		"go test ./proxy -bench Flor":      "no benchmark Flor",
		"proxy/hub/rout.go":                "no such file",
		"proxy/hubb":                       "no such file",
		"rout.go":                          "no such file",
		"switchyard policy dif A B":        "no command switchyard policy dif",
		"switchyard policy diff --capturf": "no flag --capturf",
		"switchyard_pdus_droped_total":     "no switchyard_pdus_droped_total in the source",
	} {
		if got := source.unknown(span, root); got != want {
			t.Errorf("`%s`: %q, want %q", span, got, want)
		}
	}
}

var (
	fencedBlock = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	codeSpan    = regexp.MustCompile("(?s)``(.+?)``|`([^`]+)`")
)

// codeSpans returns what stands in backticks, outside of fenced blocks, without
// repetitions.
func codeSpans(text string) []string {
	var spans []string
	for _, m := range codeSpan.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		spans = append(spans, strings.Join(strings.Fields(m[1]+m[2]), " "))
	}
	slices.Sort(spans)
	return slices.Compact(spans)
}

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

var word = regexp.MustCompile(`[A-Za-z_][\w.-]*`)

// addWords adds the words of a text and what they are made of.
func (s *sourceNames) addWords(text string) {
	for _, w := range word.FindAllString(text, -1) {
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
	configTable = regexp.MustCompile(`^\[+([\w.]+)\]+$`)
	configKey   = regexp.MustCompile(`^(\w+) = `)
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

// elsewhere are names of what is not in this repository: files of the systems that it
// runs on, what is built, the original's source, and what stands for something.
var elsewhere = regexp.MustCompile(`^(` + strings.Join([]string{
	`/(etc|var|proc|run|tmp|usr|home)(/.*)?`, `https?://.*`, `dist/.*`, `versions\.json`, `(.*/)?(policy|unicast|teamtalk)\.wasm`,
	`.*\.(cpp|conf)`, `base/.*`, `msg_server/.*`, `server/src`, `ServInfo\.h`, `RouteServer(IP|Port)?\d?`,
	`OnConfirm|OnRead|HandlePdu|_HandleStatusNotify|\w+_route_serv(er|_conn)`,
	`NAME|LANGUAGE|HANDLER|FILE|HOST|POLICY|field|service\.X`, `.*/(NAME|LANGUAGE)\b.*`,
	`bbr|io_uring|MSG_ZEROCOPY|fs\.inotify\.\w+|max_user_watches|go_memstats_\w+|__builtin_trap|memset|Killed`,
	`tls-[a-z-]+`, // made of two parts
	`COMMAND\.field.*|before\.pcap|denied|reject|SWITCHYARD_DIALOGUES`,
}, "|") + `)$`)

// otherPrograms begin commands that are not looked at.
var otherPrograms = regexp.MustCompile(`^(sudo|man|wat2wasm|curl|ss|ssh|ls|sysctl|systemctl|journalctl|kubectl|perf|npx|chgrp|editcap|mergecap|switchyard-new|\(umask)\b`)

// quoted are examples within a message.
var quoted = regexp.MustCompile(`"[^"]*"`)

// unknown says what in a span of code does not exist, or nothing.
func (s *sourceNames) unknown(span, folder string) string {
	args := strings.Fields(quoted.ReplaceAllString(span, ""))
	switch {
	case len(args) == 0 || otherPrograms.MatchString(span):
		return ""
	case args[0] == "switchyard":
		return s.unknownCommand(args[1:])
	case args[0] == "go":
		return s.unknownGo(args[1:])
	}
	for _, arg := range args {
		if strings.Contains(arg, "…") {
			continue
		}
		if why := s.unknownName(strings.Trim(arg, `'(),;:=*<>[]{}|`), folder); why != "" {
			return why
		}
	}
	return ""
}

// A subcommand is a word in lower case before the first argument or flag.
var subcommand = regexp.MustCompile(`^[a-z]+$`)

func (s *sourceNames) unknownCommand(args []string) string {
	c := s.command
	for len(args) > 0 && c.HasSubCommands() && subcommand.MatchString(args[0]) {
		sub, _, err := c.Find(args[:1])
		if err != nil || sub == c {
			return "no command " + c.CommandPath() + " " + args[0]
		}
		c, args = sub, args[1:]
	}
	for _, arg := range args {
		if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(flag, "--") && !s.flags[flag] {
			return "no flag " + flag
		}
	}
	return ""
}

// unknownGo looks at the folders and benchmarks of a go command.
func (s *sourceNames) unknownGo(args []string) string {
	for i, arg := range args {
		switch {
		case i > 0 && args[i-1] == "-bench":
			for name := range strings.SplitSeq(strings.Trim(arg, "'"), "|") {
				if !s.benchmark(name) {
					return "no benchmark " + name
				}
			}
		case strings.HasPrefix(arg, "./") && arg != "./..." || i > 0 && args[i-1] == "-C":
			if !s.files[path.Clean(arg)] {
				return "no such file"
			}
		}
	}
	return ""
}

func (s *sourceNames) benchmark(part string) bool {
	for w := range s.words {
		if (strings.HasPrefix(w, "Benchmark") || strings.HasPrefix(w, "Test")) && strings.Contains(w, part) {
			return true
		}
	}
	return false
}

var (
	filePath   = regexp.MustCompile(`^\.?[\w.-]+(/[\w.*-]+)+$|^[\w.-]+\.(go|md|toml|sh|lua|json|ya?ml|service|proto|mod|js|html|wasm|wat|h|ts|rs)$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$`)
)

func (s *sourceNames) unknownName(name, folder string) string {
	switch {
	case elsewhere.MatchString(name):
		return ""
	case filePath.MatchString(name):
		return s.unknownFile(name, folder)
	case !identifier.MatchString(name) || s.words[name]:
		return ""
	}
	// In examples the tenant has some name.
	parts := strings.Split(placeholder.ReplaceAllString(name, "tenant.default"), ".")
	for i, of := range parts[:len(parts)-1] {
		if members, known := s.members[of]; known && !members[parts[i+1]] {
			return of + " has no " + parts[i+1]
		}
	}
	for _, part := range parts {
		if !s.words[part] {
			return "no " + name + " in the source"
		}
	}
	return ""
}

var placeholder = regexp.MustCompile(`^tenant\.(NAME|x|acme)`)

func (s *sourceNames) unknownFile(name, folder string) string {
	relative, err := filepath.Rel(root, filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return err.Error()
	}
	if s.files[path.Clean(name)] || s.files[filepath.ToSlash(relative)] || !strings.Contains(name, "/") && s.bases[name] {
		return ""
	}
	return "no such file"
}

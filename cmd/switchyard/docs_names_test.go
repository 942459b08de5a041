package main

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A name in backticks is a promise that it exists: a rename that forgets a document
// fails here.
func TestNamesOfDocuments(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// codeSpans returns what is in backticks, outside of fenced blocks, without
// repetitions.
func codeSpans(text string) []string {
	var spans []string
	for _, m := range codeSpan.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		spans = append(spans, strings.Join(strings.Fields(m[1]+m[2]), " "))
	}
	slices.Sort(spans)
	return slices.Compact(spans)
}

// elsewhere are names of what is not in this repository: files of the systems that it
// runs on, what is built, the original's source, and what stands for something. It is compiled when a
// test needs it: the program of the tests is also the server that they start, many times.
var elsewhere = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(` + strings.Join([]string{
		`/(etc|var|proc|run|tmp|usr|home)(/.*)?`, `https?://.*`, `dist/.*`, `versions\.json`, `(.*/)?(policy|unicast|teamtalk)\.wasm`,
		`.*\.(cpp|conf)`, `base/.*`, `msg_server/.*`, `server/src`, `ServInfo\.h`, `RouteServer(IP|Port)?\d?`,
		`OnConfirm|OnRead|HandlePdu|_HandleStatusNotify|\w+_route_serv(er|_conn)`,
		`NAME|LANGUAGE|HANDLER|FILE|HOST|POLICY|field|service\.X`, `.*/(NAME|LANGUAGE)\b.*`, `\d+/(s|min)( .*)?`,
		`bbr|io_uring|MSG_ZEROCOPY|fs\.inotify\.\w+|max_user_watches|go_memstats_\w+|__builtin_trap|memset|Killed`,
		`.*\.(deb|rpm|rpmsave|tar|tgz|cdx\.json)`, // packages, and what they leave
		`networkPolicy\.(peers|scrapers)`,         // values of the chart for Helm
		`tls-[a-z-]+`,                             // made of two parts
		`COMMAND\.field.*|before\.pcap|denied|reject|SWITCHYARD_DIALOGUES`,
	}, "|") + `)$`)
})

// otherPrograms begin commands that are not looked at. See elsewhere for why it is a function.
var otherPrograms = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(sudo|man|wat2wasm|curl|ss|ssh|ls|sysctl|systemctl|journalctl|kubectl|perf|npx|chgrp|editcap|mergecap|apt|dnf|podman|skopeo|docker|helm|make|switchyard-new|\(umask)\b`)
})

// quoted are examples within a message.
var quoted = regexp.MustCompile(`"[^"]*"`)

// unknown says what in a span of code does not exist, or nothing.
func (s *sourceNames) unknown(span, folder string) string {
	args := strings.Fields(quoted.ReplaceAllString(span, ""))
	switch {
	case len(args) == 0 || otherPrograms().MatchString(span):
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
	case elsewhere().MatchString(name):
		return ""
	case filePath.MatchString(name):
		return s.unknownFile(name, folder)
	case !identifier.MatchString(name) || s.words[name]:
		return ""
	}
	// In examples the tenant and its group have some name.
	name = placeholder.ReplaceAllString(name, "tenant.default")
	parts := strings.Split(groupPlaceholder.ReplaceAllString(name, ".group.admin"), ".")
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

var groupPlaceholder = regexp.MustCompile(`\.group\.[\w-]+`)

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

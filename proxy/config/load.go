package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
	"switchyard/policy/tomlpos"
)

// The layers of a configuration. Each replaces single values of those before, and notes where the
// value came from, so that a fault in it names the right place:
//
//	Default()      tenant.default, a listener at 127.0.0.1:8200, …   "defaults"
//	file           [peer] timeout = "20s"                            config.toml:7
//	environment    SWITCHYARD_PEER__TIMEOUT=15s                      environment SWITCHYARD_…
//	flags          --set peer.timeout=10s                            --set peer.timeout
//	checks         combinations of the keys as they are then
//
// Only the file adds or removes tenants and listeners: the keys of all others exist after it was
// read, and environment and flags set existing keys. If the file names a tenant, the default one
// is gone; the same is true of listeners.

const (
	// defaultFile is read if it exists and no file is named.
	defaultFile = "config.toml"
	// maxSource is the size in bytes of the largest file that is read.
	maxSource = 1 << 20
	// stable is how long a file must remain unwritten before it is read. Half a file, or
	// the empty one with which an editor begins, may be valid too.
	stable = 50 * time.Millisecond
)

// Find returns the configuration's file and why it is that one: the file that the flag
// names, else that of SWITCHYARD_CONFIG, else config.toml in the working directory if it
// exists. Otherwise path is empty, which means the defaults.
func Find(flag string, env []string) (path, why string) {
	if flag != "" {
		return flag, "named by --config"
	}
	if path := lookup(env, envPrefix+"CONFIG"); path != "" {
		return path, "named by " + envPrefix + "CONFIG"
	}
	if _, err := os.Lstat(defaultFile); !errors.Is(err, fs.ErrNotExist) {
		return defaultFile, "found in the working directory"
	}
	return "", "no file named and no " + defaultFile + " in the working directory: the defaults"
}

// Load reads the file at path, or none if path is empty. Values of the environment
// replace those of the file, and overrides, by dotted key ("peer.timeout"), replace both.
// An error is Faults: all of them, or the first one if the file is not TOML. With an error, the
// configuration says no more than which files it names; it is nil if the file was not read.
func Load(path string, env []string, overrides map[string]string) (*Config, error) {
	if path == "" {
		return load("", nil, env, overrides)
	}
	source, err := readSource(path)
	if err != nil {
		return nil, Faults{{Place{Source: path}, readProblem(path, err)}}
	}
	if isEmpty(source) {
		return nil, Faults{{Place{Source: path}, "sets nothing, as if its content was lost; restore it, or remove the file if the defaults are meant"}}
	}
	return load(path, source, env, overrides)
}

func readSource(path string) ([]byte, error) { return stablefile.Read(path, stable, maxSource) }

// isEmpty reports whether a file has nothing but comments and white space. An editor that
// fails, a full disk or a template without values leaves such a file. A server that read it
// as a configuration would silently serve the defaults.
func isEmpty(source []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// load is Load with the content of the file.
func load(path string, source []byte, env []string, overrides map[string]string) (*Config, error) {
	r := newReader(path)
	r.index()
	if !r.file(source) {
		return nil, r.faults
	}
	return r.finish(env, overrides)
}

// readProblem says why a file could not be read, without its path, which the fault has as place.
func readProblem(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file; create it, or name another by --config"
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read it; grant it to the user that Switchyard runs as"
	case errors.Is(err, stablefile.ErrTooLarge):
		return fmt.Sprintf("larger than %s; is it the right file?", Size(maxSource))
	}
	problem := strings.TrimPrefix(err.Error(), "read "+path+": ")
	switch {
	case errors.Is(err, stablefile.ErrIrregular):
		problem += "; name a file"
	case errors.Is(err, stablefile.ErrChanging):
		problem += "; try again when it is saved"
	}
	return problem
}

// A reader builds a Config from its sources, one after the other.
type reader struct {
	config     *Config
	keys       map[string]key
	sections   map[string]bool     // every prefix of a key that is not a key itself
	owned      map[string][]string // keys and sections by listener or tenant; others by ""
	faulty     map[string]bool     // keys whose value was refused
	badTenants bool                // a tenant was refused
	faults     Faults
}

func newReader(path string) *reader {
	r := &reader{config: Default(), faulty: make(map[string]bool)}
	r.config.Path, r.config.places = path, make(map[string]Place)
	return r
}

// finish applies the layers above the file and checks the result. Hashes are compared as texts later, so
// they get their one spelling here.
func (r *reader) finish(env []string, overrides map[string]string) (*Config, error) {
	r.environment(env)
	r.flags(overrides)
	r.config.nameListeners()
	for i := range r.config.Tenants {
		sum := &r.config.Tenants[i].PolicySHA256
		*sum = strings.ToLower(*sum)
	}
	r.check()
	if len(r.faults) > 0 {
		r.faults.sort()
		return r.config, r.faults
	}
	return r.config, nil
}

// file reads the values of the file. It returns false, with a fault, if it is not TOML.
func (r *reader) file(source []byte) bool {
	doc := tomlpos.Scan(source)
	values, err := doc.Decode()
	if syntax, ok := errors.AsType[*tomlpos.SyntaxError](err); ok {
		what, remedy := syntaxFault(doc, syntax)
		r.fault(Place{r.config.Path, syntax.Line}, "%s; %s", what, remedy)
		return false
	}
	for name, line := range doc.Lines {
		r.config.places[name] = Place{r.config.Path, line}
	}
	if v, ok := values["tenant"]; ok {
		r.tenants(v)
	}
	if v, ok := values["listener"]; ok {
		r.listeners(v)
	}
	r.commands(values[sectionCommands])
	r.index()
	r.walk(nil, values)
	return true
}

// syntaxFault returns what keeps the file from being TOML, and what to do about it.
func syntaxFault(doc *tomlpos.Document, syntax *tomlpos.SyntaxError) (what, remedy string) {
	what = "not TOML: " + syntax.What
	repeat, repeated := doc.Repeat(syntax.Line)
	switch {
	case syntax.Remedy != "":
		return what, syntax.Remedy
	case doc.TooDeep > 0:
		return syntax.What, "close what was opened, or nest less"
	case repeated:
		return fmt.Sprintf("not TOML: %s is on line %d already", repeat.Name, repeat.First), "keep one"
	case syntax.What == "Invalid integer", syntax.What == "not a hexadecimal number":
		return what, "write a whole number without zeros in front, or with 0x and hexadecimal digits, as in 0x0901"
	case syntax.What == "a number is out of range":
		return what, "write one that fits into 64 bits"
	case doc.Unquoted(syntax.Line):
		return what, `write addresses, durations and other texts in quotes, as in allow = ["10.0.0.1"]`
	}
	return what, "write a section as [peer], and a key with its value on one line, as in timeout = \"30s\""
}

// tenants adds the tenants that the file names, with default values.
func (r *reader) tenants(value any) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.fault(r.place("tenant"), `"tenant" is a table of tenants; write [tenant.default]`)
		return
	}
	r.config.Tenants = nil
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		place := r.place(toml.Key{"tenant", name}.String(), "tenant")
		if err := checkTenantName.accept(name); err != nil {
			r.badTenants = true
			r.fault(place, "tenant: %v", err)
		} else if _, ok := tables[name].(map[string]any); !ok {
			r.badTenants = true
			r.fault(place, "\"tenant.%s\" is a table; write [tenant.%s]", name, name)
		} else {
			t := defaultTenant(name)
			if groups, ok := tables[name].(map[string]any)[sectionGroup]; ok {
				r.groups(&t, groups)
			}
			r.config.Tenants = append(r.config.Tenants, t)
		}
	}
	if len(tables) == 0 { // [tenant] alone
		r.config.Tenants = Default().Tenants
	}
}

// listeners adds the listeners of the file, without addresses.
func (r *reader) listeners(value any) {
	tables, ok := tableList(value)
	if !ok {
		r.fault(r.place("listener"), `"listener" is a list of tables; write [[listener]]`)
		return
	}
	if len(tables) > 0 {
		r.config.Listeners = nil
	}
	for range tables {
		r.config.Listeners = append(r.config.Listeners, defaultListener(""))
	}
}

// tableList returns a list of tables in either of its spellings.
func tableList(value any) (tables []map[string]any, ok bool) {
	if tables, ok := value.([]map[string]any); ok {
		return tables, true
	}
	list, ok := value.([]any)
	for _, v := range list {
		table, isTable := v.(map[string]any)
		if !isTable {
			return nil, false
		}
		tables = append(tables, table)
	}
	return tables, ok
}

// index builds keys, sections and owned from the tenants and listeners of the configuration. From the
// key "tenant.acme.limits.log", whose owner is "tenant.acme", it makes:
//
//	keys      "tenant.acme.limits.log"
//	sections  "tenant", "tenant.acme", "tenant.acme.limits"
//	owned     "":            "tenant"
//	          "tenant.acme": the key, and the other two sections
func (r *reader) index() {
	r.keys = make(map[string]key)
	r.sections = make(map[string]bool)
	r.owned = make(map[string][]string)
	for _, k := range r.config.keys() {
		r.keys[k.name] = k
		r.owned[k.owner] = append(r.owned[k.owner], k.name)
		for i, c := range k.name {
			section := k.name[:i]
			if c != '.' || r.sections[section] {
				continue
			}
			r.sections[section] = true
			if owner := k.owner; i < len(owner) {
				r.owned[""] = append(r.owned[""], section)
			} else {
				r.owned[owner] = append(r.owned[owner], section)
			}
		}
	}
}

// walk assigns the values of a table and of the tables in it. What is neither a key nor a section is
// unknown, unless it is where names of the operator's own choice are allowed: tenants, groups and custom
// commands. The functions that have added those have also reported what is wrong with their names.
func (r *reader) walk(path toml.Key, table map[string]any) {
	for _, part := range slices.Sorted(maps.Keys(table)) {
		path := append(slices.Clone(path), part)
		name, value := path.String(), table[part]
		inner, isTable := value.(map[string]any)
		if k, ok := r.keys[name]; ok {
			r.assign(k, r.place(name), k.set(value))
		} else if name == "listener" {
			tables, _ := tableList(value)
			for i, t := range tables {
				r.walk(append(path, strconv.Itoa(i)), t)
			}
		} else if r.sections[name] && isTable {
			r.walk(path, inner)
		} else if isGroup(path) {
			continue // groups has reported those
		} else if r.sections[name] && name != "tenant" {
			r.fault(r.place(name), "%q is a table; write [%s] and its keys below", name, header(path))
		} else if name != "tenant" && path[:len(path)-1].String() != "tenant" && !isCustom(path) { // tenants and commands have reported those
			r.fault(r.place(name), "unknown key %q; %s", name, r.suggest(name))
		}
	}
}

// header returns the header that opens the table of that path. A listener's table has no
// index in its header: it belongs to the last [[listener]] before it.
func header(path toml.Key) string {
	if path[0] == "listener" && len(path) > 2 {
		path = append(toml.Key{"listener"}, path[2:]...)
	}
	return path.String()
}

// assign notes where a key was set, and its faults. The fault of an earlier layer stays even if a later
// one sets the key to a good value: it is still wrong in its place.
func (r *reader) assign(k key, place Place, err error) {
	r.config.places[k.name] = place
	r.faulty[k.name] = err != nil
	if members, ok := errors.AsType[memberFaults](err); ok {
		for _, m := range members {
			r.fault(r.member(k.name, m.index), "%s: %v", k.name, m.error)
		}
	} else if err != nil {
		r.fault(place, "%s: %v", k.name, err)
	}
}

func (r *reader) fault(place Place, format string, args ...any) {
	r.faults = append(r.faults, Fault{place, sanitize.Shorten(fmt.Sprintf(format, args...))})
}

// place returns the place of the first of names that was set.
func (r *reader) place(names ...string) Place { return r.config.Place(names...) }

// sound reports whether the values of all these keys were accepted.
func (r *reader) sound(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return r.faulty[name] })
}

// lookup returns the value of a variable among "NAME=value" texts. Of several, the last counts.
func lookup(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

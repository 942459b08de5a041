// Package contexts keeps named servers and how to reach their admin interfaces, in a file of the
// user. The file has the paths of tokens and keys, and not their content. It makes no connection.
//
// What is in the file decides which server gets a token. So it is refused if others may write it, and
// files of tokens and keys that others may read are refused as well.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/policy/stablefile"
	"switchyard/policy/statefolder"
	"switchyard/policy/suggest"
	"switchyard/policy/tomlpos"
)

// Local is the name of the server that runs with the configuration on this machine. No context has it.
const Local = "local"

// maxFile is the size in bytes up to which a file of contexts is read.
const maxFile = 1 << 20

// A Context is a server and how to reach it. Paths are absolute.
type Context struct {
	Server     string `toml:"server" json:"server"`                               // as Parse takes it
	TokenFile  string `toml:"token_file,omitempty" json:"token_file,omitempty"`   // empty for none
	CA         string `toml:"ca,omitempty" json:"ca,omitempty"`                   // PEM file of the CAs that vouch for the server; empty for the system's
	Cert       string `toml:"cert,omitempty" json:"cert,omitempty"`               // PEM file of the client's certificate; empty for none
	Key        string `toml:"key,omitempty" json:"key,omitempty"`                 // PEM file of its private key
	ServerName string `toml:"server_name,omitempty" json:"server_name,omitempty"` // that the certificate must have; empty for the host
}

// A File is a file of contexts:
//
//	current = "north"
//
//	[context.north]
//	server     = "https://hub-north.example.org:8281"
//	token_file = "/home/anna/north.token"
type File struct {
	Current string             `toml:"current,omitempty"` // Local or empty: the server of the configuration
	Context map[string]Context `toml:"context"`

	path string
}

// name is what a context may be called, but for the length.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// CheckName returns an error for a name that no context can have.
func CheckName(text string) error {
	switch {
	case text == Local:
		return fmt.Errorf("%q is the server of the configuration on this machine; choose another name", Local)
	case len(text) > 40 || !name.MatchString(text):
		return fmt.Errorf("%q is not a valid context name; write 1 to 40 of A-Z, a-z, 0-9 and . _ -", text)
	}
	return nil
}

// Path returns the file of a user's contexts, by the variables XDG_CONFIG_HOME and HOME; "" if
// neither is set.
func Path(variable func(string) string) string {
	folder := variable("XDG_CONFIG_HOME")
	if !filepath.IsAbs(folder) { // the specification ignores relative paths
		home := variable("HOME")
		if home == "" {
			return ""
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "switchyard", "contexts.toml")
}

// Read reads the file; one that does not exist is empty. An error says what to do.
func Read(path string) (*File, error) {
	f := &File{path: path, Context: make(map[string]Context)}
	if path == "" {
		return f, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	} else if err != nil {
		return nil, fmt.Errorf("contexts: %w", err)
	}
	if err := checkWritable(path, info); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // reading a pipe would wait for a writer
		return nil, fmt.Errorf("%s is not a regular file; move it away", path)
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("contexts: %w", err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes; is it the right file?", path, maxFile)
	case stablefile.CheckMark(text) != nil:
		return nil, fmt.Errorf("%s: %w", path, stablefile.CheckMark(text))
	}
	return f, f.parse(string(text))
}

// checkWritable refuses a file that others may write: they could direct a token to their own server.
func checkWritable(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 && os.PathSeparator == '/' {
		return fmt.Errorf("%s may be written by others, who could direct your tokens to a server of theirs; run chmod go-w %s", path, path)
	}
	return nil
}

// parse reads the text of the file, and reports the first fault with its line. The decoder does not
// say where an unknown key is; package tomlpos does.
func (f *File) parse(text string) error {
	d := tomlpos.Scan([]byte(text))
	if _, err := d.Decode(); err != nil {
		if syntax, ok := errors.AsType[*tomlpos.SyntaxError](err); ok {
			return fmt.Errorf("%s:%d: %s; mend it, or remove the file", f.path, max(1, syntax.Line), syntax.What)
		}
		return fmt.Errorf("%s: %w; mend it, or remove the file", f.path, err)
	}
	meta, err := toml.Decode(text, f)
	if err != nil {
		return fmt.Errorf("%s: %w; mend it, or remove the file", f.path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		known := []string{"server", "token_file", "ca", "cert", "key", "server_name"}
		if len(key) < 3 {
			known = []string{"current", "context"}
		}
		return fmt.Errorf("%s:%d: unknown key %q; %s", f.path, d.Line(key...), key.String(), suggest.Hint(key[len(key)-1], known, "write one of "+strings.Join(known, ", ")))
	}
	for _, name := range f.Names() {
		if err := errors.Join(CheckName(name), f.Context[name].Check()); err != nil {
			return fmt.Errorf("%s:%d: context.%s: %w", f.path, d.Line("context", name), name, err)
		}
	}
	return nil
}

// Names returns the names of the contexts, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Context)) }

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Find returns the context of that name.
func (f *File) Find(name string) (Context, error) {
	c, ok := f.Context[name]
	if !ok {
		return c, fmt.Errorf("there is no context %q; %s", name, suggest.Hint(name, append(f.Names(), Local), "'switchyard context list' prints all contexts, 'switchyard context add' adds one"))
	}
	return c, nil
}

// Write replaces the file, which only its user may read then. The folder is made if it is missing. Of
// a symbolic link, as from a repository of a user's settings, what it leads to is replaced. What root
// writes, as by sudo, belongs to whom the file belonged to, or else to whom the folder belongs.
func (f *File) Write() error {
	if f.path == "" {
		return errors.New("contexts: neither HOME nor XDG_CONFIG_HOME says where they are kept; set HOME")
	}
	var text bytes.Buffer
	text.WriteString("# Servers of 'switchyard --context'. 'switchyard context' writes this file.\n")
	e := toml.NewEncoder(&text)
	e.Indent = ""
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	path := f.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	err := statefolder.Exchange(path, text.Bytes(), func(f *os.File) error {
		of, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			of, err = os.Stat(filepath.Dir(path))
		}
		if err != nil {
			return err
		}
		return giveTo(f, of)
	})
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	return nil
}

// makeFolder makes a folder, and those above it, unless they are there. It belongs to whom the one
// above it belongs: what root makes by sudo in a user's home would otherwise lock out that user.
func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	above, name := filepath.Dir(path), filepath.Base(path)
	if err := makeFolder(above); err != nil {
		return err
	}
	root, err := os.OpenRoot(above) // so that no link leads to a folder elsewhere that would be given away
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	made, err := root.Open(name)
	if err != nil {
		return err
	}
	defer made.Close()
	of, err := root.Stat(".")
	if err != nil {
		return err
	}
	return giveTo(made, of)
}

// giveTo gives what root has made the owner of something else.
func giveTo(made *os.File, of fs.FileInfo) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return statefolder.KeepOwner(made, of)
}

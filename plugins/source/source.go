// Package source finds the module of a policy by its name: shipped with Switchyard,
// compiled from a routing table, or read from a file. It runs no module and contacts no
// other machine; package remote does the latter.
package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"switchyard/plugins/teamtalk"
	"switchyard/plugins/unicast"
	"switchyard/policy/provenance"
	"switchyard/policy/stablefile"
	"switchyard/policy/suggest"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
)

// The gates that a policy passes before those of package wasm.
const (
	GateFetch wasm.Gate = "fetch" // for a policy that is fetched from another machine
	GateFile  wasm.Gate = "file"
	GateTable wasm.Gate = "table"
)

// filePrefix begins the name of a policy that is a file.
const filePrefix = "file:"

// stable is how long a file must stay unchanged to be read.
const stable = 50 * time.Millisecond

// shipped holds the modules of the policies that need no file.
var shipped = map[string][]byte{teamtalk.Name: teamtalk.Module, unicast.Name: unicast.Module}

// A File is the content of a policy, read but not yet compiled or checked.
type File struct {
	Name   string // as the caller gave it
	Path   string // empty for a shipped policy; for a remote one only the name of a file, see Remote
	Bytes  []byte // a table's text, or a module; of a table that extends another, the text of both as one
	SHA256 string // of Bytes, in hex, as sha256sum prints it

	Revision string // of an address, as that reports it: the digest of a manifest, or an ETag; empty if it reports none

	table *table.Table // of a table that extends another, with the places of its rules
}

// A Module is a policy's module, found but not loaded.
type Module struct {
	Name       string // as the caller gave it
	Path       string // as in File
	Bytes      []byte
	SHA256     string // of Bytes, in hex
	FileSHA256 string // of its file: for a table, of the text
	Trusted    bool   // shipped, or compiled from a table: its code is trusted
	File       []byte // the content of its file; for a table, the text
	Revision   string // as in File

	Table *table.Table // what it was compiled from; nil if not from a table
}

// Shipped returns the names of the policies that need no file, sorted.
func Shipped() []string { return slices.Sorted(maps.Keys(shipped)) }

// Read finds the policy of that name: a shipped one, or "file:" followed by the path of a
// table (.toml) or a module, relative to dir unless it is absolute. It refuses files of
// more than max bytes. It does not compile a table, but reads those that it extends, so that what
// is signed, pinned and kept is all that decides. The error is a *wasm.GateError.
func Read(name, dir string, max int64) (File, error) {
	if IsRemote(name) {
		return File{}, &wasm.GateError{Gate: GateFetch, Policy: name, Err: errors.New("only a running server and 'switchyard check' fetch policies"),
			Remedy: "download it, and name the file"}
	}
	path, isFile := strings.CutPrefix(name, filePrefix)
	if !isFile {
		if module, ok := shipped[name]; ok {
			return File{Name: name, Bytes: module, SHA256: sum(module)}, nil
		}
		names := Shipped()
		return File{}, &wasm.GateError{Gate: GateFile, Policy: name, Err: errors.New("no policy of that name is shipped"),
			Remedy: fmt.Sprintf("%s; a file is named as %q", suggest.Hint(name, names, "name one of "+strings.Join(names, ", ")), filePrefix+name+".toml")}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	content, err := stablefile.Read(path, stable, max)
	if err != nil {
		return File{}, &wasm.GateError{Gate: GateFile, Policy: name, Err: err, Remedy: "save the policy there, or name another"}
	}
	return extended(File{Name: name, Path: path, Bytes: content}, max)
}

// IsRemote reports whether the name is the address of a policy on another machine.
func IsRemote(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "oci://")
}

// Remote returns the File of a fetched remote policy. The content is a module if it begins like
// one, and otherwise a table, because an address need not have an extension.
func Remote(name string, content []byte) File {
	path := provenance.Name(name)
	extension := ".toml"
	if bytes.HasPrefix(content, []byte("\x00asm")) {
		extension = ".wasm"
	}
	if filepath.Ext(path) != extension {
		path += extension
	}
	return File{Name: name, Path: path, Bytes: content, SHA256: sum(content)}
}

// Module compiles a table; any other file is the module itself. The error is a
// *wasm.GateError.
func (f File) Module() (Module, error) {
	m := Module{Name: f.Name, Path: f.Path, Bytes: f.Bytes, SHA256: f.SHA256, FileSHA256: f.SHA256, Trusted: f.Path == "", File: f.Bytes, Revision: f.Revision, Table: f.table}
	if filepath.Ext(f.Path) != ".toml" {
		return m, nil
	}
	if m.Table == nil {
		var err error
		if m.Table, err = table.Parse(f.Path, f.Bytes); err != nil {
			return Module{}, refusedTable(f.Name, err)
		}
	}
	m.Bytes = m.Table.Module()
	m.SHA256, m.Trusted = sum(m.Bytes), true
	return m, nil
}

// Load loads the module with the engine; see wasm.Engine.Load. A module whose code is trusted
// needs no trial.
func (m Module) Load(ctx context.Context, e *wasm.Engine, config []byte) (*wasm.Policy, error) {
	if m.Trusted {
		return e.LoadOwn(ctx, m.Name, m.Bytes, config)
	}
	return e.Load(ctx, m.Name, m.Bytes, config)
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// Argument returns the policy name for a command line argument, which may leave out
// "file:" before what looks like a path.
func Argument(arg string) string {
	if IsRemote(arg) {
		return arg
	}
	ext := filepath.Ext(arg)
	isPath := ext == ".toml" || ext == ".wasm" || strings.ContainsRune(arg, filepath.Separator)
	if isPath && !strings.HasPrefix(arg, filePrefix) {
		return filePrefix + arg
	}
	return arg
}

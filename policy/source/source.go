// Package source finds the module of a policy that somebody named: shipped with
// Switchyard, compiled from a routing table, or read from a file. It runs none.
package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"switchyard/plugins/teamtalk"
	"switchyard/plugins/unicast"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
	"switchyard/proxy/config/watch"
)

// The gates before those of package wasm.
const (
	GateFile  wasm.Gate = "file"
	GateTable wasm.Gate = "table"
)

// filePrefix begins the name of a policy that is a file.
const filePrefix = "file:"

// stable is how long a file must stay as it is to be read.
const stable = 50 * time.Millisecond

// shipped holds the modules of the policies that need no file.
var shipped = map[string][]byte{teamtalk.Name: teamtalk.Module, unicast.Name: unicast.Module}

// A Module is a policy's module, found but not loaded.
type Module struct {
	Name   string // as it was asked for
	Bytes  []byte
	SHA256 string // of Bytes, in hex
}

// Find finds the policy of that name: a shipped one, or "file:" and the path of a
// table (.toml) or a module, which starts at dir unless it is absolute. A file of
// more than max bytes is refused. The error is a *wasm.GateError.
func Find(name, dir string, max int64) (Module, error) {
	b, err := find(name, dir, max)
	if err != nil {
		return Module{}, err
	}
	sum := sha256.Sum256(b)
	return Module{Name: name, Bytes: b, SHA256: hex.EncodeToString(sum[:])}, nil
}

func find(name, dir string, max int64) ([]byte, error) {
	path, isFile := strings.CutPrefix(name, filePrefix)
	if !isFile {
		if module, ok := shipped[name]; ok {
			return module, nil
		}
		names := strings.Join(slices.Sorted(maps.Keys(shipped)), ", ")
		return nil, &wasm.GateError{Gate: GateFile, Policy: name, Err: errors.New("no policy of that name is shipped"),
			Remedy: fmt.Sprintf("name one of %s, or a file as %q", names, filePrefix+name+".toml")}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	content, err := watch.ReadStable(path, stable, max)
	if err != nil {
		return nil, &wasm.GateError{Gate: GateFile, Policy: name, Err: err, Remedy: "save the policy there, or name another"}
	}
	if filepath.Ext(path) != ".toml" {
		return content, nil
	}
	module, err := table.Compile(path, content)
	if err != nil {
		return nil, &wasm.GateError{Gate: GateTable, Policy: name, Err: err, Remedy: "correct the table"}
	}
	return module, nil
}

// Argument returns the name of the policy that an argument on the command line
// means: one that looks like a path to a file is one, beside the names that a
// configuration may have.
func Argument(arg string) string {
	ext := filepath.Ext(arg)
	isPath := ext == ".toml" || ext == ".wasm" || strings.ContainsRune(arg, filepath.Separator)
	if isPath && !strings.HasPrefix(arg, filePrefix) {
		return filePrefix + arg
	}
	return arg
}

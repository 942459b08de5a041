package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/plugins/unicast"
	"switchyard/policy/command"
	"switchyard/policy/stablefile"
	"switchyard/policy/suggest"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
)

// A table that extends another becomes one text here, before anything else is done with it:
//
//	routes.toml ──┐
//	base.toml ────┼─▶ table.Extend ─▶ Table.Text ─▶ File.Bytes, File.SHA256
//	teamtalk ─────┘
//
// A table with names of custom commands becomes such a text as well, with their ids.
//
// So its checksum changes with every table that it extends; a pin or a signature refuses it then,
// and the history keeps a text that needs no other file.

// shippedTables holds the texts of the shipped policies that are tables.
var shippedTables = map[string][]byte{teamtalk.Name: teamtalk.Table}

// extended returns a file with what it extends, and with the ids of custom commands in place of their
// names.
func extended(f File, max int64) (File, error) {
	isTable := filepath.Ext(f.Path) == ".toml"
	extends := isTable && table.Base("", f.Bytes) != ""
	if extends || isTable && len(pdu.CustomCommands()) > 0 {
		t, err := table.Extend(f.Path, f.Bytes, bases(f.Path, stable, max))
		if err != nil {
			return File{}, refusedTable(f.Name, err)
		}
		if extends || t.UsesCustom() {
			f.table, f.Bytes = t, t.Text()
		}
	}
	f.SHA256 = sum(f.Bytes)
	return f, nil
}

// refusedTable returns the error of a table.
func refusedTable(name string, err error) error {
	return &wasm.GateError{Gate: GateTable, Policy: name, Err: err, Remedy: "correct the table"}
}

// ReadTable reads the table of a file and those that it extends, each after it has been unchanged
// for as long as stable says, and of max bytes at most.
func ReadTable(path string, stable time.Duration, max int64) (*table.Table, error) {
	src, err := stablefile.Read(path, stable, max)
	if err != nil {
		return nil, err
	}
	return table.Extend(path, src, bases(path, stable, max))
}

// bases reads the tables that the one at path extends.
func bases(path string, stable time.Duration, max int64) table.Reader {
	return func(name string) ([]byte, error) {
		if !table.IsFile(name) {
			return shippedTable(name)
		}
		file := baseFile(path, name)
		src, err := stablefile.Read(file, stable, max)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &command.Problem{What: fmt.Sprintf("there is no file %s", file), Remedy: suggest.Hint(filepath.Base(file), tablesBeside(file, path), "save it there, or name another table")}
		}
		return src, err
	}
}

// baseFile returns the file of a table, whose name is one from the folder of the table at path.
func baseFile(path, name string) string {
	return filepath.Join(filepath.Dir(path), filepath.FromSlash(name))
}

// tablesBeside returns the names of the files in the folder of a file that may be tables, without the
// table itself.
func tablesBeside(file, itself string) (names []string) {
	dir := filepath.Dir(file)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if table.IsFile(e.Name()) && filepath.Join(dir, e.Name()) != itself {
			names = append(names, e.Name())
		}
	}
	return names
}

// ShippedTable returns the text of a shipped policy that is a table.
func ShippedTable(name string) (text []byte, ok bool) {
	text, ok = shippedTables[name]
	return text, ok
}

func shippedTable(name string) ([]byte, error) {
	if text, ok := shippedTables[name]; ok {
		return text, nil
	}
	if name == unicast.Name {
		return nil, &command.Problem{What: "this shipped policy is not a table", Remedy: "extend " + teamtalk.Name + ", or a file that ends in .toml"}
	}
	return nil, &command.Problem{What: "no table of that name is shipped",
		Remedy: suggest.Hint(name, []string{teamtalk.Name}, fmt.Sprintf("extend %s, or a file, as in extends = %q", teamtalk.Name, name+".toml"))}
}

// Bases returns the files of the tables that the one at path extends, also of one that does not
// exist and of tables with faults, so that a change to any of them is noticed.
func Bases(path string) (files []string) {
	name := filepath.Base(path)
	for range table.MaxBases {
		src, err := stablefile.Read(baseFile(path, name), 0, table.MaxSize)
		if err != nil {
			break
		}
		name = table.Base(name, src)
		file := baseFile(path, name)
		if !table.IsFile(name) || file == path || slices.Contains(files, file) {
			break
		}
		files = append(files, file)
	}
	return files
}

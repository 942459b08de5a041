package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// noLicence is said of Switchyard itself while the repository has no file LICENSE.
const noLicence = "The owner of the project has not chosen a licence yet, so none is granted.\n"

// licenceFile matches the names of the files that a copy of a module must contain.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// copyrightOf returns the licences of Switchyard and of all modules in a program, whose copies must
// be passed on with it. folder is that of the program's own module. Modules are read from Go's module
// cache, and one without a licence is an error: it must not be distributed.
func copyrightOf(p program, folder string) ([]byte, error) {
	var text bytes.Buffer
	own, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if errors.Is(err, fs.ErrNotExist) {
		own, err = []byte(noLicence), nil
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&text, "Switchyard\n\n%s", own)
	goroot, err := output(folder, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	if err := appendLicences(&text, "The Go standard library, "+p.info.GoVersion, strings.TrimSpace(string(goroot))); err != nil {
		return nil, err
	}
	args := []string{"mod", "download", "-json"}
	for _, m := range linked(p.info) {
		args = append(args, m.Path+"@"+m.Version)
	}
	list, err := output(folder, args...)
	if err != nil {
		return nil, err
	}
	for modules := json.NewDecoder(bytes.NewReader(list)); ; {
		var m struct{ Path, Version, Dir string }
		if err := modules.Decode(&m); errors.Is(err, io.EOF) {
			return text.Bytes(), nil
		} else if err != nil {
			return nil, err
		}
		if err := appendLicences(&text, m.Path+" "+m.Version, m.Dir); err != nil {
			return nil, err
		}
	}
}

// output runs go in a folder.
func output(folder string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = folder
	var faults bytes.Buffer
	cmd.Stderr = &faults
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w: %s%s", args[0], folder, err, faults.String(), text)
	}
	return text, nil
}

// appendLicences adds the files at the top of a module.
func appendLicences(text *bytes.Buffer, what, folder string) error {
	entries, err := os.ReadDir(folder) // in the order of their names
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		licence, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(text, "\n%s\n%s (%s)\n\n%s\n", strings.Repeat("-", 72), what, e.Name(), bytes.TrimSpace(licence))
	}
	if !found {
		return fmt.Errorf("%s has no file with a licence in %s, so it cannot be distributed", what, folder)
	}
	return nil
}

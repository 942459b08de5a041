package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A program is one of a release, for one architecture.
type program struct {
	name, arch string
	path       string
	sha256     string
	version    string    // without the v of the tag
	revision   string    // the commit
	time       time.Time // of the commit: that of all files in packages and images
	info       *debug.BuildInfo
}

// file returns the name of a file about the program.
func (p program) file(rest string) string { return p.name + "-" + p.version + "-" + rest }

// readPrograms reads the programs of a release, of each name in the order of the architectures. All
// are of one commit, and have the version of Switchyard: the other modules of this repository have
// no tags of their own.
func readPrograms(folder, version string) (hubs, buses []program, err error) {
	for _, arch := range architectures {
		hub, err := readProgram(folder, "switchyard", arch)
		if err != nil {
			return nil, nil, err
		}
		bus, err := readProgram(folder, "yardbus", arch)
		if err != nil {
			return nil, nil, err
		}
		bus.version = hub.version
		hubs, buses = append(hubs, hub), append(buses, bus)
	}
	first := hubs[0]
	for _, p := range slices.Concat(hubs, buses) {
		if p.version != first.version || p.revision != first.revision {
			return nil, nil, fmt.Errorf("%s and %s are of different commits; run 'make release'", first.path, p.path)
		}
	}
	if want := strings.TrimPrefix(version, "v"); want != "" && want != first.version {
		return nil, nil, fmt.Errorf("VERSION=%s: %s calls itself %s, by the tag of its commit; 'git tag v%s' the commit, or leave VERSION out", version, first.path, first.version, want)
	}
	return hubs, buses, nil
}

// readProgram reads one program. What Go has built into it says which commit and platform it is of,
// so a file that was built otherwise, or has changes, is noticed here.
func readProgram(folder, name, arch string) (program, error) {
	path := filepath.Join(folder, name+"-linux-"+arch)
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, fmt.Errorf("%w; run 'make release'", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	sum := sha256.Sum256(content)
	// Go writes what it was built with into the program: platform, commit, and whether the tree had
	// changes.
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if got := settings["GOOS"] + "/" + settings["GOARCH"]; got != "linux/"+arch {
		return program{}, fmt.Errorf("%s is built for %s; run 'make release'", path, got)
	}
	at, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if err != nil || settings["vcs.modified"] != "false" || !strings.HasPrefix(info.Main.Version, "v") {
		return program{}, fmt.Errorf("%s is not built from a commit; run 'make release'", path)
	}
	return program{name, arch, path, hex.EncodeToString(sum[:]), strings.TrimPrefix(info.Main.Version, "v"), settings["vcs.revision"], at.UTC(), info}, nil
}

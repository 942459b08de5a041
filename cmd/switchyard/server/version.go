package server

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"switchyard/policy/abi"
	"switchyard/proxy/handover"
)

// A Version is what identifies a program. Its names in JSON do not change.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the repository
	Go       string `json:"go"`
	Platform string `json:"platform"` // such as linux/amd64
	Wazero   string `json:"wazero"`
	ABI      string `json:"policy_abi"`
	Handover int    `json:"handover"` // the format in which it can hand over to another program
}

// ProgramVersion returns the version of the running program.
func ProgramVersion() Version {
	version, revision, engine := built()
	return Version{version, revision, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, engine, abi.Marker, handover.Format}
}

// String returns a line for each part of the version.
func (v Version) String() string {
	return fmt.Sprintf("switchyard %s\nrevision %s\n%s %s\nwazero %s\npolicy ABI %s\nhandover %d\n",
		v.Version, v.Revision, v.Go, v.Platform, v.Wazero, v.ABI, v.Handover)
}

// stamped is the version if the linker was told one, as for a build without the repository:
// go build -ldflags '-X switchyard/cmd/switchyard/server.stamped=v1.2.3'
var stamped string

// built returns the versions of the running program and of its engine, as 'go build' has recorded
// them. A test binary and a build without the repository have less, and get "unknown" or "(devel)".
func built() (version, revision, engine string) {
	version, revision, engine = "unknown", "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				revision += " (modified)"
			}
		}
		for _, m := range info.Deps {
			if m.Path == "github.com/tetratelabs/wazero" {
				engine = m.Version
			}
		}
	}
	return cmp.Or(stamped, version), revision, engine
}

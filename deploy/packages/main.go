// Command packages makes what operators install from the programs of a release: packages for Debian
// and for RPM, container images, a bill of materials for each program, checksums, and a signature of
// these. The same commit gives the same bytes on any machine. 'make packages' runs it.
//
//	program.go                      reads the programs of 'make release', and what is built into them
//	build.go                        the order of everything, and what is made
//	bill.go, copyright.go           which modules are in a program, and their licences
//	package.go                      .deb and .rpm, as nfpm.yaml describes them
//	image.go, containerfile.go      OCI images, as the Containerfiles describe them
//	chart.go                        the chart for Helm
//	sums.go                         checksums, and the signature
//	push.go                         an image goes to a registry; nothing else uses the network
//
// For the same bytes, every file gets the time of the commit, files are sorted by name, and nothing
// says where or when this program ran.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const usage = `usage: packages build --release FOLDER --stage FOLDER --out FOLDER [--version V] [--key FILE]
       packages push ARCHIVE REFERENCE

build makes all packages and images in the folder --out, which must not exist, from the programs of
'make release' and the files of 'make install'. push copies an image to a registry, by the
credentials of 'docker login' or 'podman login'.
`

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "build":
		return runBuild(args[1:], stdout, stderr)
	case "push":
		if len(args) != 3 {
			return errors.New("push needs an archive and where to push it: packages push dist/packages/switchyard-1.5.0-image.tar registry.example/switchyard:1.5.0")
		}
		return push(args[1], args[2], stdout)
	default:
		fmt.Fprint(stderr, usage)
		return fmt.Errorf("unknown command %q; write build or push", command)
	}
}

// runBuild reads the flags of build. The Makefile gives them, so their texts are in usage alone.
func runBuild(args []string, stdout, stderr io.Writer) error {
	var b build
	f := flag.NewFlagSet("build", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage) }
	f.StringVar(&b.release, "release", "", "")
	f.StringVar(&b.stage, "stage", "", "")
	f.StringVar(&b.out, "out", "", "")
	f.StringVar(&b.version, "version", "", "")
	f.StringVar(&b.key, "key", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	for name, value := range map[string]string{"--release": b.release, "--stage": b.stage, "--out": b.out} {
		if value == "" {
			return fmt.Errorf("build needs %s", name)
		}
	}
	if f.NArg() > 0 {
		return fmt.Errorf("build takes no %s", strings.Join(f.Args(), " "))
	}
	return b.run(stdout)
}

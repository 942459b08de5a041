package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// root is the top of the repository, from the folder in which this program runs.
const root = "../.."

// architectures are Go's names of those that are released.
var architectures = []string{"amd64", "arm64"}

// A build is one run, whose results are in the folder out:
//
//	switchyard_1.5.0-1_amd64.deb    switchyard-1.5.0-1.x86_64.rpm     one of each per architecture
//	switchyard-1.5.0-image.tar      an OCI image layout of all architectures
//	switchyard-1.5.0-image.digest   the digest by which the image is pulled from a registry
//	switchyard-1.5.0-chart.tgz      the chart for Helm
//	switchyard-1.5.0-linux-amd64.cdx.json                             the modules of a program
//	SHA256SUMS, SHA256SUMS.sig      of all of these; the signature only with a key
type build struct {
	release string // with the programs of 'make release'
	stage   string // with the files of 'make install', for PREFIX=/usr
	out     string
	version string // which the programs must have; "" for the one that they have
	key     string // a file; "" signs nothing
}

// run makes everything in a temporary folder beside out, so that an interrupted run leaves nothing
// that looks whole.
func (b *build) run(stdout io.Writer) error {
	if _, err := os.Lstat(b.out); err == nil {
		return fmt.Errorf("--out %s: it exists; remove it first", b.out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	signer, err := readSigner(b.key)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(b.out), "packages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := b.make(temporary); err != nil {
		return err
	}
	if err := writeSums(temporary, signer); err != nil {
		return err
	}
	// os.MkdirTemp makes folders for their owner alone; what is in this one is for everybody.
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := os.Rename(temporary, b.out); err != nil {
		return err
	}
	if signer == nil {
		_, err = fmt.Fprintf(stdout, "%s is not signed; name the private key by KEY=FILE to sign it\n", filepath.Join(b.out, sums))
	}
	return err
}

// make makes all files but the checksums. Whatever fails ends it, and run removes what there is.
func (b *build) make(out string) error {
	hubs, buses, err := readPrograms(b.release, b.version)
	if err != nil {
		return err
	}
	copyright, err := copyrightOf(hubs[0], root)
	if err != nil {
		return err
	}
	busCopyright, err := copyrightOf(buses[0], filepath.Join(root, "cmd", "yardbus"))
	if err != nil {
		return err
	}
	for _, p := range append(hubs, buses...) {
		if err := writeBill(filepath.Join(out, p.file("linux-"+p.arch+".cdx.json")), p); err != nil {
			return fmt.Errorf("bill of materials of %s: %w", p.path, err)
		}
	}
	for _, p := range hubs {
		if err := writePackages(out, p, b.stage, copyright); err != nil {
			return err
		}
	}
	if err := writeImage(out, "Containerfile", hubs, copyright); err != nil {
		return err
	}
	if err := writeImage(out, "yardbus.Containerfile", buses, busCopyright); err != nil {
		return err
	}
	return writeChart(out, hubs[0])
}

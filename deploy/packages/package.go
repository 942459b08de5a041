package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers its format
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers its format
)

// maintainer is whom a package names. The owner of the repository has to set the address, here and in
// SECURITY.md, before the first public release.
const maintainer = "Switchyard maintainers <maintainers@switchyard.invalid>"

// writePackages writes the packages of a program, whose contents nfpm.yaml lists. That file is read
// anew for each format, with its variables filled in.
func writePackages(out string, p program, stage string, copyright []byte) error {
	documents, err := writeDocuments(out, p, stage, copyright)
	if err != nil {
		return err
	}
	defer os.RemoveAll(documents)
	variables := map[string]string{"MAINTAINER": maintainer, "ARCH": p.arch, "VERSION": p.version, "PROGRAM": p.path, "STAGE": stage, "DOCUMENTS": documents}
	for _, format := range []string{"deb", "rpm"} {
		if err := writePackage(out, format, p, variables); err != nil {
			return fmt.Errorf("%s of %s: %w", format, p.path, err)
		}
	}
	return nil
}

// writePackage writes the package of one format, under the name that its tools expect.
func writePackage(out, format string, p program, variables map[string]string) error {
	config, err := nfpm.ParseFileWithEnvMapping("nfpm.yaml", func(name string) string { return variables[name] })
	if err != nil {
		return err
	}
	info, err := config.Get(format)
	if err != nil {
		return err
	}
	info = nfpm.WithDefaults(info)
	info.MTime = p.time
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		return err
	}
	return f.Close()
}

// writeDocuments writes what the packages contain and 'make install' does not: compressed manual
// pages and changelogs, the licences, and the configuration of a package. It returns the folder.
func writeDocuments(out string, p program, stage string, copyright []byte) (folder string, err error) {
	if folder, err = os.MkdirTemp(out, "documents-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder)
		}
	}()
	pages := filepath.Join(stage, "usr", "share", "man")
	err = filepath.WalkDir(pages, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return writeCompressed(filepath.Join(folder, "man", strings.TrimPrefix(name, pages)+".gz"), text)
	})
	if err != nil {
		return "", err
	}
	changes, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return "", err
	}
	if err := writeCompressed(filepath.Join(folder, "changelog.gz"), changes); err != nil {
		return "", err
	}
	// Debian wants a list of the packages beside that of the program's versions.
	debian := fmt.Sprintf("switchyard (%s-1) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s  %s\n",
		strings.Replace(p.version, "-", "~", 1), maintainer, p.time.Format(time.RFC1123Z))
	if err := writeCompressed(filepath.Join(folder, "changelog.Debian.gz"), []byte(debian)); err != nil {
		return "", err
	}
	config, err := packagedConfig(stage)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "config.toml"), config, 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "copyright"), copyright, 0o644); err != nil {
		return "", err
	}
	return folder, setTimes(folder, p.time)
}

// setTimes gives a folder and all that is in it one time, as packages keep that of the files.
// Otherwise each build would make other packages.
func setTimes(folder string, at time.Time) error {
	return filepath.WalkDir(folder, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, at, at)
	})
}

// writeCompressed writes a file as gzip, without a name or a time in its header.
func writeCompressed(name string, text []byte) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// packagedConfig returns config.toml with the admin socket in the folder that the unit makes, so
// that root may operate the service without a token: 'switchyard upgrade', as the package does.
func packagedConfig(stage string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(stage, "etc", "switchyard", "config.toml"))
	if err != nil {
		return nil, err
	}
	// The line is replaced and not appended: a second one would be an error.
	const none, own = "\nsocket = \"\"\n", "\nsocket = \"/run/switchyard/admin.sock\"\n"
	if bytes.Count(text, []byte(none)) != 1 {
		return nil, fmt.Errorf("config.toml has not one line %q", strings.TrimSpace(none))
	}
	return bytes.Replace(text, []byte(none), []byte(own), 1), nil
}

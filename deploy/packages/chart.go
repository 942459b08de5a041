package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// charts is the folder of the chart for Helm.
var charts = filepath.Join(root, "deploy", "helm")

// versions are the lines of Chart.yaml that a release sets.
var versions = regexp.MustCompile(`(?m)^(version|appVersion): .*$`)

// writeChart writes the chart as Helm packs it. Its version, and the tag of the images that it takes
// by default, are the release's. In the repository both are placeholders, as no release is there.
func writeChart(out string, p program) error {
	f, err := os.Create(filepath.Join(out, p.file("chart.tgz")))
	if err != nil {
		return err
	}
	defer f.Close()
	compressed := gzip.NewWriter(f)
	w := &layerWriter{Writer: tar.NewWriter(compressed), at: p.time, made: map[string]bool{"/": true}}
	err = filepath.WalkDir(filepath.Join(charts, p.name), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" { // its links lead into the repository
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if d.Name() == "Chart.yaml" {
			if n := len(versions.FindAll(content, -1)); n != 2 {
				return fmt.Errorf("%s has %d lines with a version, want 2", name, n)
			}
			content = versions.ReplaceAll(content, []byte("$1: "+p.version))
		}
		return w.file(filepath.ToSlash(strings.TrimPrefix(name, charts)), copied{mode: 0o644}, content)
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return f.Close()
}

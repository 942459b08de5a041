package main

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes which modules a program is made of, as 'go version -m' says it, in CycloneDX. The
// component that the bill is about has the checksum of the program's file, which is the same in every
// package and image. So one bill for each program is enough, and whoever finds a vulnerable module in
// it knows which files have it.
func writeBill(path string, p program) error {
	bom := cdx.NewBOM()
	subject := cdx.Component{
		BOMRef: "pkg:generic/" + p.name + "@" + p.version + "?arch=" + p.arch,
		Type:   cdx.ComponentTypeApplication, Name: p.name, Version: p.version,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: p.sha256}},
		Properties: &[]cdx.Property{{Name: "vcs.revision", Value: p.revision}},
	}
	subject.PackageURL = subject.BOMRef
	bom.Metadata = &cdx.Metadata{Timestamp: p.time.Format("2006-01-02T15:04:05Z"), Component: &subject}

	components := []cdx.Component{library("std", strings.TrimPrefix(p.info.GoVersion, "go"))}
	for _, m := range linked(p.info) {
		c := library(m.Path, m.Version)
		// The h1 of go.sum is the SHA-256 of a list of the module's files.
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == 32 {
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
		}
		components = append(components, c)
	}
	bom.Components = &components
	uses := cdx.Dependency{Ref: subject.BOMRef, Dependencies: &[]string{}}
	for _, c := range components {
		*uses.Dependencies = append(*uses.Dependencies, c.BOMRef)
	}
	bom.Dependencies = &[]cdx.Dependency{uses}

	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return err
	}
	return f.Close()
}

// library returns the component of a Go module. Its reference is its package URL, which scanners look
// up.
func library(path, version string) cdx.Component {
	url := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: url, Scope: cdx.ScopeRequired}
}

// linked returns the modules of others in a program, sorted by path. What go.mod replaces counts as
// what replaces it.
func linked(info *debug.BuildInfo) []*debug.Module {
	var all []*debug.Module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		// Without a version it is a folder of this repository.
		if m.Version != "" && m.Version != "(devel)" {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *debug.Module) int { return strings.Compare(a.Path, b.Path) })
	return all
}

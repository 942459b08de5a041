package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeImage writes an archive with the images of a program for all architectures, as the
// Containerfile describes them, and the digest of their index. The digest is known before the image
// is in any registry, so it can be signed with the checksums.
func writeImage(out, containerfile string, programs []program, copyright []byte) error {
	// The index has one manifest for each architecture; engines choose theirs.
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range programs {
		r, err := readRecipe(filepath.Join(containers, containerfile), p.arch)
		if err != nil {
			return err
		}
		image, err := imageOf(p, r, copyright)
		if err != nil {
			return fmt.Errorf("image of %s: %w", p.path, err)
		}
		platform := &v1.Platform{OS: "linux", Architecture: p.arch}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	p := programs[0]
	index = mutate.Annotations(index, annotations(p)).(v1.ImageIndex)
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, p.file("image.digest")), []byte(digest.String()+"\n"), 0o644); err != nil {
		return err
	}
	return archive(filepath.Join(out, p.file("image.tar")), p, index)
}

// annotations are what registries and engines show of an image, on the index and on each image.
func annotations(p program) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    p.name,
		"org.opencontainers.image.version":  p.version,
		"org.opencontainers.image.revision": p.revision,
		"org.opencontainers.image.created":  p.time.Format("2006-01-02T15:04:05Z"),
	}
}

// imageOf makes the image of one architecture, with a single layer.
func imageOf(p program, r recipe, copyright []byte) (v1.Image, error) {
	files, err := layerFiles(p, r, copyright)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	// empty.Image has Docker's media types, and this is to be an image of OCI.
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: p.time}, CreatedBy: "make packages"}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", p.arch, v1.Time{Time: p.time}
	config.Config = r.config
	config.Config.Labels = annotations(p)
	return mutate.ConfigFile(image, config)
}

// layerFiles returns a tar file of what the recipe copies, and the licences. A path in the recipe is
// beside the Containerfile, but for the program, which is that of the release.
func layerFiles(p program, r recipe, copyright []byte) ([]byte, error) {
	var files bytes.Buffer
	w := &layerWriter{Writer: tar.NewWriter(&files), at: p.time, made: map[string]bool{"/": true}}
	for _, c := range r.copies {
		if c.from == "state" { // an empty folder, which 'make image' makes
			if err := w.folder(c.to, c); err != nil {
				return nil, err
			}
			continue
		}
		from := filepath.Join(containers, c.from)
		if c.from == filepath.Base(p.path) {
			from = p.path
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		if err := w.file(c.to, c, content); err != nil {
			return nil, err
		}
	}
	if err := w.file("/usr/share/doc/"+p.name+"/copyright", copied{mode: 0o644}, copyright); err != nil {
		return nil, err
	}
	return files.Bytes(), w.Close()
}

// A layerWriter writes files with the folders above them, all of one time.
type layerWriter struct {
	*tar.Writer
	at   time.Time
	made map[string]bool
}

// file writes a file. The folder of c does not matter; name is its path in the image.
func (w *layerWriter) file(name string, c copied, content []byte) error {
	if err := w.folder(path.Dir(name), copied{mode: 0o755}); err != nil {
		return err
	}
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: int64(c.mode), Uid: c.uid, Gid: c.gid, ModTime: w.at, Size: int64(len(content))})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// folder writes a folder, after those above it, once: engines differ in what they make of missing
// ones.
func (w *layerWriter) folder(name string, c copied) error {
	if w.made[name] {
		return nil
	}
	if err := w.folder(path.Dir(name), copied{mode: 0o755}); err != nil {
		return err
	}
	w.made[name] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: int64(c.mode), Uid: c.uid, Gid: c.gid, ModTime: w.at})
}

// archive writes an OCI image layout as a tar file, which 'docker load', 'podman load' and skopeo
// read. Its name in there is program:version.
func archive(to string, p program, index v1.ImageIndex) error {
	folder, err := os.MkdirTemp(filepath.Dir(to), "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	l, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": p.name + ":" + p.version})
	if err := l.AppendIndex(index, named); err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &layerWriter{Writer: tar.NewWriter(f), at: p.time, made: map[string]bool{"/": true}}
	err = filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error { // in the order of names
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return w.file(filepath.ToSlash(strings.TrimPrefix(name, folder)), copied{mode: 0o644}, content)
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

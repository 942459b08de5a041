package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push copies the images of an archive to a registry, and prints the reference by which they are
// pulled without trusting the registry:
//
//	registry.example/switchyard@sha256:3f5b…    as in switchyard-1.5.0-image.digest
func push(from, to string, stdout io.Writer) error {
	reference, err := name.ParseReference(to, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("%s: %w; write registry.example/switchyard:1.5.0", to, err)
	}
	folder, err := os.MkdirTemp("", "packages-push-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := unpack(from, folder); err != nil {
		return fmt.Errorf("%s: %w; it must be an image of 'make packages'", from, err)
	}
	l, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return fmt.Errorf("%s: %w; it must be an image of 'make packages'", from, err)
	}
	manifest, err := l.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) != 1 {
		return fmt.Errorf("%s has %d images, want one for all architectures; it must be an image of 'make packages'", from, len(manifest.Manifests))
	}
	index, err := l.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(reference, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push to %s: %w", reference, err)
	}
	_, err = fmt.Fprintf(stdout, "%s@%s\n", reference.Context(), manifest.Manifests[0].Digest)
	return err
}

// unpack unpacks the files of a tar file. None is written outside of the folder: an archive may come
// from elsewhere, and os.Root refuses such names.
func unpack(from, folder string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(f); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		to, err := root.Create(h.Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, files)
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
	}
}

package history

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"switchyard/policy/statefolder"
)

// policies returns the folder that holds the files of policies.
func (h *History) policies() string { return h.path("policies") }

// put stores a file under its sum. A complete file is left unchanged, so that a policy used by
// many entries or tenants is stored once.
func (h *History) put(content []byte) error {
	path := filepath.Join(h.policies(), Sum(content))
	if old, err := os.ReadFile(path); err == nil && Sum(old) == Sum(content) {
		return nil
	}
	h.crash()
	return statefolder.Replace(path, content)
}

// Content returns the file of a policy by its sum. The error wraps fs.ErrNotExist if the
// file is no longer kept.
func (h *History) Content(sum string) ([]byte, error) {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("%.80q is not a SHA-256", sum)
	}
	if content := h.unwritten(sum); content != nil {
		return content, nil
	}
	if h.folder == "" {
		return nil, fs.ErrNotExist
	}
	path := filepath.Join(h.policies(), sum)
	content, err := os.ReadFile(path)
	if err == nil && Sum(content) != sum {
		err = fmt.Errorf("%s is damaged: its SHA-256 is %s", path, Sum(content))
	}
	return content, err
}

// prune removes the files of policies that are no longer kept, and the remains of a crash.
// The caller must have locked the folder.
func (h *History) prune() error {
	used := h.saved.sums()
	files, err := os.ReadDir(h.policies())
	if err != nil {
		return err
	}
	for _, f := range files {
		if used[f.Name()] {
			continue
		}
		h.crash()
		if err := os.Remove(filepath.Join(h.policies(), f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

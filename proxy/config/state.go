package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// systemFile is the configuration of the service that is installed, and of the image.
const systemFile = "/etc/switchyard/config.toml"

// StateFolder returns the folder that a setting names: "auto" is the one of that name in the
// user's cache. An empty setting stays empty.
func (c *Config) StateFolder(setting, name string) (string, error) {
	if setting != "auto" {
		return c.File(setting), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the user's cache is not known: %w", err)
	}
	return filepath.Join(cache, "switchyard", name), nil
}

// HistoryFolder returns the folder of releases.state. The history knows tenants by their names only,
// so with "auto" each configuration has a folder of its own:
//
//	/etc/switchyard/config.toml            CACHE/switchyard/releases
//	/srv/hub/config.toml                   CACHE/switchyard/releases/srv-hub-config.toml-696a537e
//	no file, in the working folder /srv/b  CACHE/switchyard/releases/srv-b-config.toml-6a67f267
//
// The path counts as it is written, without resolving symbolic links: those may lead elsewhere with
// each new version of the file.
func (c *Config) HistoryFolder() (string, error) {
	folder, err := c.StateFolder(c.Releases.State, "releases")
	if err != nil || c.Releases.State != "auto" {
		return folder, err
	}
	path := c.Path
	if path == "" {
		path = defaultFile // which the working directory may have later
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("the working directory is not known: %w", err)
	}
	if path == systemFile {
		return folder, nil
	}
	return filepath.Join(folder, folderName(path)), nil
}

// folderName returns a name for a path that is readable and differs from those of other paths.
func folderName(path string) string {
	const longest = 60
	sum := sha256.Sum256([]byte(path))
	readable := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, path)
	readable = strings.Trim(readable[max(0, len(readable)-longest):], "-")
	return readable + "-" + hex.EncodeToString(sum[:4])
}

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/stablefile"
	"switchyard/policy/statefolder"
)

// demoHeader is the first line of a configuration that demo has written. A folder is known by it, also
// one of another release: no other folder is written to or removed.
const demoHeader = "# Written by 'switchyard demo'. Saved changes take effect at once.\n"

// usualAddresses are where a demo listens if nothing else does.
type usualAddresses struct{ hub, admin string }

// A demoFolder has the files of a demo.
type demoFolder struct {
	path       string // absolute
	temporary  bool
	hub, admin string   // addresses
	taken      []string // usual addresses that are in use
	unlock     func()   // lets another demo use the folder
}

// The files in the folder; a fourth one, state, is made by the server.
func (f *demoFolder) config() string { return filepath.Join(f.path, "config.toml") }
func (f *demoFolder) table() string  { return filepath.Join(f.path, "routes.toml") }
func (f *demoFolder) token() string  { return filepath.Join(f.path, "operate.token") }

// openDemoFolder makes a temporary folder, or takes the one that is given if it is new, empty, or of
// an earlier demo. No other folder is written to. The caller closes it.
func openDemoFolder(given string) (*demoFolder, error) {
	if given == "" {
		removeLeftFolders(os.TempDir(), time.Now())
		path, err := os.MkdirTemp("", temporaryDemo)
		if err != nil {
			return nil, fmt.Errorf("make a folder: %w; set TMPDIR, or name a folder", err)
		}
		return &demoFolder{path: path, temporary: true}, nil
	}
	path, err := filepath.Abs(given)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", given, err)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, dataError{fmt.Errorf("make the demo's folder: %w; name another", err)}
	}
	f := &demoFolder{path: path}
	if err := f.take(); err != nil {
		return nil, dataError{err}
	}
	return f, nil
}

// temporaryDemo begins the names of temporary folders.
const temporaryDemo = "switchyard-demo-"

// leftAfter is how old the configuration in a temporary folder is if the folder was left by a demo that
// was killed: longer than any demo lasts, with a day for a machine that slept meanwhile.
const leftAfter = mostDemo + 24*time.Hour

// removeLeftFolders removes the temporary folders that were left. What it cannot remove stays.
func removeLeftFolders(parent string, now time.Time) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		f := demoFolder{path: filepath.Join(parent, e.Name())}
		if !e.IsDir() || !strings.HasPrefix(e.Name(), temporaryDemo) {
			continue
		}
		info, err := os.Lstat(f.config())
		if err != nil || now.Sub(info.ModTime()) < leftAfter {
			continue
		}
		if text, err := stablefile.Read(f.config(), 0, 1<<20); err == nil && strings.HasPrefix(string(text), demoHeader) {
			os.RemoveAll(f.path)
		}
	}
}

// take locks the folder. It refuses one that has other files than a demo's, or in which other users
// may exchange them: the demo runs what its configuration says as the user who started it.
func (f *demoFolder) take() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("read the demo's folder: %w; name another", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder; name another", f.path)
	}
	unlock, err := statefolder.Lock(f.path, 0)
	if err != nil {
		return fmt.Errorf("%w: name another folder, or end the demo that runs in it", err)
	}
	entries, err := os.ReadDir(f.path)
	before, unread := stablefile.Read(f.config(), 0, 1<<20) // which refuses what is not a regular file
	switch mode := info.Mode().Perm(); {
	case err != nil:
		err = fmt.Errorf("read the demo's folder: %w; name another", err)
	case len(entries) > 0 && (unread != nil || !strings.HasPrefix(string(before), demoHeader)):
		err = fmt.Errorf("%s has files, and not those of an earlier demo; name a new or empty folder", f.path)
	case mode&0o022 != 0 && runtime.GOOS != "windows":
		err = fmt.Errorf("%s has mode %04o, so others can change what is in it; run 'chmod go-w' on it, or name another folder", f.path, mode)
	}
	if err != nil {
		unlock()
		return err
	}
	f.unlock = unlock
	return nil
}

// write writes the configuration for ports that are free, and what it refers to. A table that is
// there already stays, as somebody may have edited it.
func (f *demoFolder) write(usual usualAddresses) (err error) {
	f.taken = nil
	if f.hub, err = f.free(usual.hub); err != nil {
		return err
	}
	if f.admin, err = f.free(usual.admin); err != nil {
		return err
	}
	text := demoHeader + fmt.Sprintf(`
[admin]
address = %q
# Commands such as 'switchyard policy rollback' take it from here.
operate_token_file = "operate.token"

[[listener]]
address = %q

[tenant.default]
policy = "file:routes.toml"
# What another policy would save, which the dashboard shows.
audit = "unicast"

# By default these are in the user's cache.
[releases]
state = "state"

[signatures]
state = "state"

[wasm]
faults = ""
`, f.admin, f.hub)
	if _, err := os.Stat(f.table()); errors.Is(err, fs.ErrNotExist) {
		if err := statefolder.WriteNew(f.table(), teamtalk.Table, 0o600); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	if err := statefolder.Replace(f.token(), []byte(rand.Text()+"\n")); err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	if err := statefolder.Replace(f.config(), []byte(text)); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// free returns the usual address if nothing listens there, or else one with a free port. The port may
// be taken before the hub listens, so run tries again then.
func (f *demoFolder) free(usual string) (string, error) {
	l, err := net.Listen("tcp", usual)
	if err != nil {
		f.taken = append(f.taken, usual)
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", unavailableError{fmt.Errorf("find a free port: %w", err)}
		}
	}
	defer l.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), nil
}

// describe says where the folder is, and what becomes of it.
func (f *demoFolder) describe() string {
	if f.temporary {
		return f.path + " (removed at the end)"
	}
	return f.path + " (stays)"
}

// close removes a temporary folder, and lets other demos use one that stays.
func (f *demoFolder) close() error {
	if !f.temporary {
		f.unlock()
		return nil
	}
	if err := os.RemoveAll(f.path); err != nil {
		return fmt.Errorf("remove the demo's folder: %w", err)
	}
	return nil
}

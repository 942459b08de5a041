//go:build unix

package statefolder

import (
	"io/fs"
	"os"
	"syscall"
)

// KeepOwner gives a new file the owner and the group of another one.
func KeepOwner(f *os.File, of fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	now, then := info.Sys().(*syscall.Stat_t), of.Sys().(*syscall.Stat_t)
	if now.Uid == then.Uid && now.Gid == then.Gid {
		return nil
	}
	return f.Chown(int(then.Uid), int(then.Gid))
}

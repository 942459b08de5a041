package stablefile

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns when the file's content or attributes changed last, or zero if that is
// unknown. Unlike the modification time, it cannot be set to the past.
func changeTime(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return time.Time{}
}

//go:build unix

package toolchain

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBuildRefusesPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.toml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(context.Background(), pipe, io.Discard); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v, want that it is not a regular file", err)
	}
}

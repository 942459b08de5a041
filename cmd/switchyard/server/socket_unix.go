//go:build unix

package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// listenPrivately makes a socket with permissions 0600, which it has from the moment
// that it is there. Files that another goroutine makes at that moment are private, too.
func listenPrivately(path string) (net.Listener, error) {
	defer unix.Umask(unix.Umask(0o177))
	return net.Listen("unix", path)
}

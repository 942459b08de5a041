//go:build unix

package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// listenPrivately listens at a socket that has permissions 0600 from its creation. The umask is
// the process's, so files that other goroutines create at that moment are private, too.
func listenPrivately(path string) (net.Listener, error) {
	defer unix.Umask(unix.Umask(0o177))
	return net.Listen("unix", path)
}

//go:build !unix

package server

import (
	"net"
	"os"
)

// listenPrivately listens at a socket with permissions 0600.
func listenPrivately(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

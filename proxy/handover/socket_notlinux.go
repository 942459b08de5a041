//go:build !linux

package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

var errNotLinux = fmt.Errorf("handover: %w but on Linux", errors.ErrUnsupported)

const rightsBytes = 0

// Pair fails: descriptors are passed on Linux only.
func Pair() (*Conn, *os.File, error) { return nil, nil, errNotLinux }

// Inherit fails, like Pair.
func Inherit(int) (*Conn, error) { return nil, errNotLinux }

func tcpConn(int) (*net.TCPConn, error)   { return nil, errNotLinux }
func listener(int) (net.Listener, error)  { return nil, errNotLinux }
func duplicate(syscall.Conn) (int, error) { return -1, errNotLinux }
func closeAll([]int)                      {}
func rights([]int) []byte                 { return nil }
func parseRights([]byte) ([]int, error)   { return nil, nil }
func isTruncated(int) bool                { return false }

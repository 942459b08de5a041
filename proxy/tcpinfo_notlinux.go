//go:build !linux

package proxy

import "net"

func newKernel(net.Conn) kernel { return silentKernel{} }

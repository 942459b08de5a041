//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package wasm

func touch(b []byte) { touchPages(b) }

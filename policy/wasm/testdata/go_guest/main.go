// A guest in stock Go: what an author may write without any SDK. It sends
// chats whose body begins with a configured prefix to a configured session, and
// drops the others.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"unsafe"
)

const (
	drop          = 0
	broadcast     = 4
	toSession     = 3 | 1<<16
	inspectHeader = 1 << 8
	inspectBody   = 1 << 9
)

var (
	room   [64 << 10]byte
	config struct {
		Session int64  `json:"session"`
		Prefix  string `json:"prefix"`
	}
)

func main() {}

//go:wasmexport switchyard_abi_v1
func marker() {}

//go:wasmexport buffer
func buffer(size int32) uint32 {
	if int(size) > len(room) {
		return 0
	}
	return uint32(uintptr(unsafe.Pointer(&room)))
}

//go:wasmexport configure
func configure(_ uint32, n int32) int32 {
	if err := json.Unmarshal(room[:n], &config); err != nil {
		fmt.Fprintln(os.Stderr, "configuration:", err)
		return 1
	}
	return 0
}

//go:wasmexport classify
func classify(_, command int32) int64 {
	switch command {
	case 0x0301:
		return inspectBody | drop
	case 0x0601:
		return inspectHeader | drop
	}
	return broadcast
}

//go:wasmexport inspect
func inspect(_, _, session, attributes int64) int64 {
	if attributes != 0 {
		panic("a master at the gates")
	}
	return session<<32 | toSession
}

//go:wasmexport inspect_body
func inspectBodyOf(_ uint32, n int32, _, _, _, _ int64) int64 {
	if !bytes.HasPrefix(room[:n], []byte(config.Prefix)) {
		return drop
	}
	return config.Session<<32 | toSession
}

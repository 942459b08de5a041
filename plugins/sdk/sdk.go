// Package sdk holds the files that a policy's folder needs a copy of, for those who
// make such folders. It has no code.
//
// The SDK for Go is a module of its own, which nothing outside of it can embed.
package sdk

import "embed"

// Files is the SDKs by the folder that each has here, without examples and tests of
// their own folders.
//
//go:embed c/*.h rust/Cargo.toml rust/src/*.rs assemblyscript/assembly/*.ts
var Files embed.FS

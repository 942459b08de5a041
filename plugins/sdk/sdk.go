// Package sdk embeds the files of the SDKs that package scaffold copies into the folder
// of a new policy. It has no code.
//
// The SDK for Go is a module of its own, which no other module can embed.
package sdk

import "embed"

// Files are the SDKs in their folders, without examples and tests.
//
//go:embed c/*.h rust/Cargo.toml rust/src/*.rs assemblyscript/assembly/*.ts
var Files embed.FS

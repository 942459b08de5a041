// Package teamtalk holds the default policy: TeamTalk's routing table, and the
// module built from it. It has no other code.
package teamtalk

import _ "embed"

//go:generate go run switchyard/policy/table/compile routes.toml teamtalk.wasm

// Name is what a configuration calls this policy.
const Name = "teamtalk"

// Table is routes.toml. It is read-only.
//
//go:embed routes.toml
var Table []byte

// Module is teamtalk.wasm, compiled from Table. It is read-only.
//
//go:embed teamtalk.wasm
var Module []byte

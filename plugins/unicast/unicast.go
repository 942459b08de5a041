// Package unicast holds a policy that sends what concerns single users only to the
// peers that hold them: its source, unicast.wat, and the module built from it. It has no
// other code.
package unicast

import _ "embed"

//go:generate wat2wasm --debug-names unicast.wat -o unicast.wasm

// Name is what a configuration calls this policy.
const Name = "unicast"

// Module is unicast.wasm. It is read-only.
//
//go:embed unicast.wasm
var Module []byte

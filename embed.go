// Package switchyard holds the shipped configuration, config.toml. Its comments are the only
// documentation of the keys, so the manual pages, the JSON Schema and completions read them here.
package switchyard

import _ "embed" // for the file

// Configuration is the text of config.toml: every key with its default, below a comment.
//
//go:embed config.toml
var Configuration string

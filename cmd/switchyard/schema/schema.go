// Package schema writes JSON Schemas of config.toml, of routing tables and of files of test cases,
// for editors that check and complete TOML. It knows no rule itself: they are those of packages
// config, table and cases. One test holds that deploy/schema has what this package writes, and
// another one lets taplo, which editors use, apply the schemas to the shipped files and to files with
// mistakes.
//
//	config.go   from the keys and the comments of config.toml
//	table.go    from what a routing table may say, with the names of commands and services
//	cases.go    from the keys of test cases
//
// A schema is a tree of nodes. Tables of TOML are objects of JSON: newTable makes one, and Properties
// and Patterns are its keys.
package schema

import (
	"bytes"
	"encoding/json"
)

//go:generate sh -c "go run .. schema config > ../../../deploy/schema/config.schema.json"
//go:generate sh -c "go run .. schema table > ../../../deploy/schema/table.schema.json"
//go:generate sh -c "go run .. schema cases > ../../../deploy/schema/cases.schema.json"

// draft is the version of JSON Schema that the editors of TOML know.
const draft = "http://json-schema.org/draft-07/schema#"

// A node is a JSON Schema or a part of one.
type node struct {
	Schema      string           `json:"$schema,omitempty"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Ref         string           `json:"$ref,omitempty"` // validators ignore what is beside it
	Type        any              `json:"type,omitempty"` // a string or several
	Pattern     string           `json:"pattern,omitempty"`
	Enum        []string         `json:"enum,omitempty"`
	Minimum     *int64           `json:"minimum,omitempty"`
	Maximum     *int64           `json:"maximum,omitempty"`
	Items       *node            `json:"items,omitempty"`
	Unique      bool             `json:"uniqueItems,omitempty"`
	Required    []string         `json:"required,omitempty"`
	Least       int              `json:"minProperties,omitempty"`
	Most        int              `json:"maxProperties,omitempty"`
	Properties  map[string]*node `json:"properties,omitempty"`
	Patterns    map[string]*node `json:"patternProperties,omitempty"`
	Additional  *bool            `json:"additionalProperties,omitempty"`
	Default     any              `json:"default,omitempty"`
	Examples    []string         `json:"examples,omitempty"`
	Definitions map[string]*node `json:"definitions,omitempty"`
}

// newTable returns a table that has no other keys than those that are added to it.
func newTable(description string) *node {
	return &node{Description: description, Type: "object", Additional: new(bool), Properties: map[string]*node{}, Patterns: map[string]*node{}}
}

// text returns the schema as indented JSON that ends in a newline. Keys of objects are sorted, so the
// files change only where a rule does.
func (n *node) text() []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(n); err != nil {
		panic(err) // a node has nothing that JSON cannot express
	}
	return out.Bytes()
}

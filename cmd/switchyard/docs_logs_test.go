package main

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each line that the server logs for operators is explained in docs/operations.md. A message that
// is not a literal in the call is not looked for.
func TestLogLinesOfDocuments(t *testing.T) {
	t.Parallel()
	operations := document(t, filepath.Join(root, "docs", "operations.md"))
	messages := 0
	for _, f := range goFiles(t) {
		if f.test || strings.HasPrefix(f.path, "cmd/yard") {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if message := logged(n); message != "" {
				messages++
				if !strings.Contains(operations, "`"+message+"`") {
					t.Errorf("%s: docs/operations.md has no `%s`", f.path, message)
				}
			}
			return true
		})
	}
	if messages < 50 {
		t.Errorf("found %d calls that log", messages)
	}
}

// logged returns the message that a call logs for operators; "" for everything else.
func logged(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Info", "Warn", "Error"}, method.Sel.Name) {
		return ""
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	message, _ := strconv.Unquote(literal.Value)
	return message
}

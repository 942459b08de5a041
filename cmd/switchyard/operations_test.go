package main

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const operations = "docs/operations.md"

// Every alert has a section of its name that says what to do, and no section is about an
// alert that does not exist.
func TestAlertsHaveRunbooks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy/prometheus/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no alerts: %v", err)
	}
	var alerts []string
	for _, file := range files {
		alerts = append(alerts, submatches(`(?m)^ *- alert: (\w+)$`, document(t, file))...)
	}
	sections := submatches(`(?m)^### (Switchyard\w+)$`, string(read(t, operations)))
	if len(alerts) == 0 {
		t.Fatalf("no alerts in %v", files)
	}
	for _, a := range alerts {
		if !slices.Contains(sections, a) {
			t.Errorf("%s has no section about the alert %s", operations, a)
		}
	}
	for _, s := range sections {
		if !slices.Contains(alerts, s) {
			t.Errorf("%s has a section about %s, which is not an alert", operations, s)
		}
	}
}

func submatches(pattern, text string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// Every line of the log is explained, and so is every reason and kind that a line can
// have.
func TestOperatorsFindEveryWord(t *testing.T) {
	t.Parallel()
	text := string(read(t, operations))
	explained := func(what, word string) {
		if !strings.Contains(text, "`"+word) {
			t.Errorf("%s does not explain the %s %q", operations, what, word)
		}
	}
	lines, reasons := 0, 0
	for _, f := range goFiles(t) {
		if f.test || strings.HasPrefix(f.path, "cmd/yard") {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if message := logged(n); message != "" {
					lines++
					explained("line", message)
				}
			case *ast.ValueSpec:
				reason, ok := n.Type.(*ast.Ident)
				if !ok || len(n.Values) == 0 || reason.Name != "Reason" && reason.Name != "FaultKind" {
					break
				}
				if word := literal(n.Values[0]); word != "" {
					reasons++
					explained(reason.Name, word)
				}
			}
			return true
		})
	}
	if lines < 50 || reasons < 40 {
		t.Errorf("only %d lines and %d reasons are in the source; has their way of being written changed?", lines, reasons)
	}
}

// logged returns the message of a call that logs for operators, with the closing backtick of its row
// unless a name follows; "" for other calls.
func logged(call *ast.CallExpr) string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || !slices.Contains([]string{"Info", "Warn", "Error", "reportOnce"}, f.Sel.Name) {
		return ""
	}
	first, end := call.Args[0], "`"
	for {
		sum, ok := first.(*ast.BinaryExpr) // a message with a name in it: what is before that
		if !ok {
			break
		}
		first, end = sum.X, ""
	}
	if message := literal(first); message != "" {
		return message + end
	}
	return ""
}

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		panic(err) // the parser has taken it
	}
	return text
}

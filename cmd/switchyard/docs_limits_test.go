package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// The limits that docs/abi.md lists are those that hold.
func TestLimitsOfTheABIsDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	c, limits := config.Default().WASM, wasm.DefaultLimits()
	for key, want := range map[string]string{
		"wasm.module_size": spaced(c.ModuleSize.String()),
		"wasm.memory":      spaced(c.Memory.String()),
		"wasm.fuel":        grouped(int64(limits.Fuel)) + " units",
		"wasm.depth":       strconv.Itoa(int(limits.Depth)) + " units",
		"wasm.body":        spaced(c.Body.String()),
		"wasm.load_time":   spaced(c.LoadTime.String()),
	} {
		row := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "|") && strings.Contains(line, "| `"+key+"` |") {
				row = line
			}
		}
		if !strings.Contains(row, "| "+want+" |") {
			t.Errorf("%s: the row is %q, want %s", key, row, want)
		}
	}
	if limits.LoadTime != time.Duration(c.LoadTime) || limits.ModuleBytes != int64(c.ModuleSize) || limits.Fuel != uint64(c.Fuel) {
		t.Errorf("package wasm begins with %+v, the configuration with %+v", limits, c)
	}
	if load := grouped(int64(limits.LoadFuel)); !strings.Contains(string(text), "| fuel of what makes an instance: its [declarations](#metering), the start function, `_initialize`, `configure` and the `buffer` call of `configure`, together | "+load+" units |") {
		t.Errorf("no row for the fuel of loading says %s", load)
	}
}

// spaced writes a number and its unit as documents do: 8 MiB.
func spaced(text string) string {
	digits := strings.TrimRight(text, "BKMGis")
	return digits + " " + text[len(digits):]
}

// grouped writes a number with a comma before each three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

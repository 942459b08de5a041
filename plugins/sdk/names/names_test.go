package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
)

func TestFilesAreUpToDate(t *testing.T) {
	for _, f := range files {
		want, err := f.text()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(f.path)))
		if err != nil {
			t.Errorf("%v; run go generate ./plugins/sdk/names", err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("plugins/sdk/%s is not what package pdu says; run go generate ./plugins/sdk/names", f.path)
		}
	}
}

func TestEveryNameIsInEveryFile(t *testing.T) {
	for _, f := range files {
		text, err := f.text()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range pdu.Commands {
			if n := strings.Count(string(text), c.Name+" ") + strings.Count(string(text), c.Name+":"); n != 1 {
				t.Errorf("%s has %s %d times, want once", f.path, c.Name, n)
			}
			if name := c.Service.String(); !strings.Contains(string(text), name) {
				t.Errorf("%s lacks %s", f.path, name)
			}
		}
	}
}

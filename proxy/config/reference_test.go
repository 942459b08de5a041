package config

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every key and its table are in the reference, with the comments of config.toml.
func TestReference(t *testing.T) {
	t.Parallel()
	if got := Intro(); !strings.HasPrefix(got, "Switchyard's configuration. Every key") || strings.Contains(got, "#") {
		t.Errorf("the introduction is %q", got)
	}
	described := map[string]Key{}
	for _, table := range Tables() {
		if table.Header != "[[listener]]" && table.Header != "["+strings.Replace(table.Name, "listener.N", "listener", 1)+"]" {
			t.Errorf("the header of %s is %s", table.Name, table.Header)
		}
		for _, k := range table.Keys {
			if !strings.HasPrefix(k.Name, table.Name+".") || k.Type == "" || k.Default == nil {
				t.Errorf("%s: got %+v", table.Name, k)
			}
			if len(k.Doc) < 10 || strings.Contains(k.Doc, "#") {
				t.Errorf("%s: the comment above it in config.toml is %q; write one", k.Name, k.Doc)
			}
			described[k.Name] = k
		}
	}
	c := Default()
	c.Tenants[0].Groups = []Group{defaultGroup("x")}
	for _, k := range c.keys() {
		name := strings.NewReplacer("listener.0.", "listener.N.", "tenant.default.", "tenant.NAME.", "group.x.", "group.NAME.").Replace(k.name)
		if _, ok := described[name]; !ok {
			t.Errorf("the reference lacks %s", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("the reference has %s, which is not a key", name)
	}
}

// The JSON Schema for editors has every key with its present comment. A test of the schema's own
// package compares the whole.
func TestSchemaHasEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/schema/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range Tables() {
		for _, k := range table.Keys {
			var doc strings.Builder
			e := json.NewEncoder(&doc)
			e.SetEscapeHTML(false)
			if err := e.Encode(k.Doc); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), strings.TrimSuffix(doc.String(), "\"\n")) {
				t.Errorf("the schema lacks %s or its comment; run go generate ./cmd/switchyard/schema", k.Name)
			}
		}
	}
}

func TestReferenceInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	var headers []string
	for _, table := range Tables() {
		headers = append(headers, table.Header)
	}
	got := strings.Join(headers, " ")
	if want := "[admin] [admin.tls] [metrics] [metrics.tls] [[listener]] [listener.tls] [tenant.NAME] [tenant.NAME.claims]"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s …", got, want)
	}
	address := Tables()[4].Keys[0]
	if address.Name != "listener.N.address" || !address.Must || address.Default != "127.0.0.1:8200" {
		t.Errorf("got %+v", address)
	}
}

package remote

import "testing"

func TestSignatureAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.org/acme.wasm":             "https://example.org/acme.wasm.sig",
		"https://example.org/acme.wasm?v=7":         "https://example.org/acme.wasm.sig?v=7",
		"https://example.org/o/dir%2Facme.wasm?a=b": "https://example.org/o/dir%2Facme.wasm.sig?a=b",
		"https://example.org/a%20b.toml":            "https://example.org/a%20b.toml.sig",
	} {
		if got := signatureAddress(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

package provenance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Keys, signatures and the ledger say that a byte order mark is what is wrong with them.
func TestByteOrderMarks(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, ledgerFile), []byte("\ufeff{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, ofKeys := ParseKeys([]byte("\ufeff-----BEGIN PUBLIC KEY-----\n"))
	_, ofEnvelope := ParseEnvelope([]byte("\ufeff{}"))
	_, ofLedger := NewLedger(folder).Floor("acme", "routes.toml")
	for of, err := range map[string]error{"keys": ofKeys, "an envelope": ofEnvelope, "the ledger": ofLedger} {
		if err == nil || !strings.Contains(err.Error(), "byte order mark") {
			t.Errorf("%s: %v", of, err)
		}
	}
}

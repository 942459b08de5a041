package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// sums is the file with the checksums, as sha256sum reads it.
const sums = "SHA256SUMS"

// writeSums writes the checksums of a folder's files, and beside them the signature, if there is a
// key: the 64 bytes of ed25519 over the file, which openssl verifies. Every file of the release is in
// the list, so one signature is enough for all.
func writeSums(folder string, key ed25519.PrivateKey) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	if err := os.WriteFile(filepath.Join(folder, sums), text.Bytes(), 0o644); err != nil || key == nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, sums+".sig"), ed25519.Sign(key, text.Bytes()), 0o644)
}

// readSigner reads an ed25519 private key in PEM, as 'switchyard policy keygen' and OpenSSL write
// it; nil for no file. Errors contain no part of the file.
func readSigner(path string) (ed25519.PrivateKey, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("KEY: %w", err)
	}
	remedy := errors.New("it is not an ed25519 private key in PEM; make one with 'switchyard policy keygen' or 'openssl genpkey -algorithm ed25519'")
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("KEY=%s: %w", path, remedy)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("KEY=%s: %w", path, remedy)
	}
	return key, nil
}

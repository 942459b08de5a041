package certificate

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"switchyard/policy/stablefile"
)

// largest is how many bytes a file may have. A bundle of all public CAs has a quarter of
// that.
const largest = 1 << 20

// largestCRL is the largest size of a file with revocation lists, which need about 50 bytes
// per certificate.
const largestCRL = 16 << 20

// The files' keys in the configuration.
const (
	roleCertificate = "certificate"
	roleKey         = "key"
	roleClientCA    = "client_ca"
	roleCRL         = "crl"
)

// contents are the contents of the files. Each file is read once, so that the checked
// content is the served one. The content of a file that the configuration does not name is
// empty.
type contents struct{ certificate, key, clientCA, crl []byte }

// read reads all configured files. It waits until each file was unchanged for stable.
func read(files Files, stable time.Duration) (contents, error) {
	var c contents
	for _, f := range []struct {
		role, path string
		optional   bool
		content    *[]byte
	}{
		{roleCertificate, files.Certificate, false, &c.certificate},
		{roleKey, files.Key, false, &c.key},
		{roleClientCA, files.ClientCA, true, &c.clientCA},
		{roleCRL, files.CRL, true, &c.crl},
	} {
		if f.path == "" && f.optional {
			continue
		}
		if f.path == "" {
			return contents{}, fmt.Errorf("there is no %s; write the path of a PEM file", f.role)
		}
		most := int64(largest)
		if f.role == roleCRL {
			most = largestCRL
		}
		content, err := stablefile.Read(f.path, stable, most)
		if err != nil {
			return contents{}, unreadable(f.role, f.path, most, err)
		}
		if err := stablefile.CheckMark(content); err != nil {
			return contents{}, fmt.Errorf("%s %s: %w", f.role, f.path, err)
		}
		*f.content = content
	}
	return c, nil
}

// unreadable is the error for a file that cannot be read. It names the file once.
func unreadable(role, path string, most int64, err error) error {
	cause := err
	for _, known := range []error{stablefile.ErrChanging, stablefile.ErrIrregular, stablefile.ErrTooLarge} {
		if errors.Is(err, known) {
			cause = known
		}
	}
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		cause = failed.Err
	}
	return fmt.Errorf("%s %s: %w; write the path of a PEM file of at most %d bytes that this process may read", role, path, cause, most)
}

// wrong is the error for the content of a file. It may not quote the content, and so may
// not include the error of a parser, which may do so.
func wrong(role, path, what, remedy string) error {
	return errors.New(warning(role, path, what, remedy))
}

// warning is the text of wrong.
func warning(role, path, what, remedy string) string {
	return fmt.Sprintf("%s %s: %s; %s", role, path, what, remedy)
}

// certificateType is the type of PEM blocks with certificates.
const certificateType = "CERTIFICATE"

// parseCertificates returns the certificates of a PEM file in order. It skips other
// blocks.
func parseCertificates(role, path string, content []byte) ([]*x509.Certificate, error) {
	return parseBlocks(role, path, content, blockKind{certificateType, "certificate", "x509"}, x509.ParseCertificate)
}

// A blockKind is what a PEM file consists of.
type blockKind struct {
	label   string // of the blocks
	what    string // for errors
	command string // of openssl, which shows and converts it
}

// parseBlocks parses all blocks of a kind, in order.
func parseBlocks[T any](role, path string, content []byte, kind blockKind, parse func([]byte) (T, error)) (parsed []T, err error) {
	begun := bytes.Count(content, []byte("-----BEGIN "+kind.label+"-----"))
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind.label {
			continue
		}
		one, err := parse(block.Bytes)
		if err != nil {
			return nil, wrong(role, path, fmt.Sprintf("its %s %d cannot be parsed", kind.what, len(parsed)+1),
				fmt.Sprintf(`see what "openssl %s -text" says of it, and write a good one`, kind.command))
		}
		parsed = append(parsed, one)
	}
	switch {
	case begun == 0:
		return nil, wrong(role, path, "it has no PEM block of a "+kind.what,
			fmt.Sprintf(`write the %s there; "openssl %s -inform der" makes PEM of the binary form`, kind.what, kind.command))
	case len(parsed) != begun: // the decoder skips broken blocks
		return nil, wrong(role, path, fmt.Sprintf("only %d of its %d %ss are whole", len(parsed), begun, kind.what), "write it again")
	}
	return parsed, nil
}

// parseKey returns the one private key of a PEM file.
func parseKey(path string, content []byte) (crypto.Signer, error) {
	var found crypto.Signer
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		parse, isKey := keyParsers[block.Type]
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", isKey && block.Headers["DEK-Info"] != "":
			return nil, wrong(roleKey, path, "it is encrypted, and the server cannot ask for a passphrase",
				`decrypt it with "openssl pkey", and let only this process read it`)
		case !isKey:
			continue
		case found != nil:
			return nil, wrong(roleKey, path, "it has more than one private key", "leave the certificate's")
		}
		key, err := parse(block.Bytes)
		if err != nil {
			return nil, wrong(roleKey, path, "its private key cannot be parsed", `see what "openssl pkey -check -noout" says of it, and write a good one`)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, wrong(roleKey, path, "its private key cannot sign", "make a certificate with a key of ECDSA, Ed25519 or RSA")
		}
		found = signer
	}
	if found == nil {
		return nil, wrong(roleKey, path, "it has no PEM block of a private key that is whole", "write the certificate's key there")
	}
	return found, nil
}

// keyParsers are indexed by the type of the PEM block.
var keyParsers = map[string]func([]byte) (any, error){
	"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
	"RSA PRIVATE KEY": func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	"EC PRIVATE KEY":  func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
}

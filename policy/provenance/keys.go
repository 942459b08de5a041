package provenance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"switchyard/policy/stablefile"
)

// The types of PEM blocks in which OpenSSL writes keys.
const (
	publicBlock  = "PUBLIC KEY"
	privateBlock = "PRIVATE KEY"
)

// maxKeyFile is the size in bytes up to which a file of keys is read.
const maxKeyFile = 64 << 10

// A Key is a public key that verifies the signatures of policies. Only ed25519 is supported: one
// algorithm leaves nothing to negotiate, and OpenSSL makes and reads its keys.
type Key struct {
	ID     string // see the package comment
	public ed25519.PublicKey
}

// newKey returns the key with its id, which is 16 hex digits. Anybody can compute it:
//
//	openssl pkey -pubin -in key.pub -outform DER | sha256sum | head -c 16
func newKey(public ed25519.PublicKey) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(der)
	return Key{hex.EncodeToString(sum[:8]), public}, nil
}

// ParseKeys reads ed25519 public keys in PEM, as OpenSSL writes them. Errors never contain a
// part of the text.
func ParseKeys(text []byte) ([]Key, error) {
	var keys []Key
	blocks, err := blocksOf(text)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if b.Type != publicBlock {
			return nil, wrongBlock(b, publicBlock)
		}
		parsed, err := x509.ParsePKIXPublicKey(b.Bytes)
		public, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errors.New("a key that is not one of ed25519; make keys with 'switchyard policy keygen' or 'openssl genpkey -algorithm ed25519'")
		}
		k, err := newKey(public)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(other Key) bool { return other.public.Equal(public) }) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// A Signer signs with a private key. The key exists only inside the function, so that
// printing the Signer cannot reveal it.
type Signer struct {
	ID   string // of the public key
	key  Key
	sign func(message []byte) []byte
}

// Key returns the public key, which verifies what the Signer signs.
func (s *Signer) Key() Key { return s.key }

func newSigner(private ed25519.PrivateKey) (*Signer, error) {
	k, err := newKey(private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &Signer{k.ID, k, func(message []byte) []byte { return ed25519.Sign(private, message) }}, nil
}

// ParseSigner reads one ed25519 private key in PEM, as OpenSSL writes it. Errors never contain
// a part of the text.
func ParseSigner(text []byte) (*Signer, error) {
	blocks, err := blocksOf(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, fmt.Errorf("there are %d keys; sign with one at a time", len(blocks))
	}
	if blocks[0].Type != privateBlock {
		return nil, wrongBlock(blocks[0], privateBlock)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("the private key is not one of ed25519; make one with 'switchyard policy keygen' or 'openssl genpkey -algorithm ed25519'")
	}
	return newSigner(private)
}

// blocksOf returns the PEM blocks of a text, at least one. It refuses damaged blocks, which
// pem.Decode ignores.
func blocksOf(text []byte) ([]*pem.Block, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	if err := stablefile.CheckMark(text); err != nil {
		return nil, err
	}
	begun := bytes.Count(text, []byte("-----BEGIN "))
	var blocks []*pem.Block
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		blocks = append(blocks, b)
	}
	switch {
	case begun == 0:
		return nil, errors.New("there is no key in PEM")
	case len(blocks) != begun:
		return nil, fmt.Errorf("of %d keys in PEM, %d can be read; the others are damaged", begun, len(blocks))
	}
	return blocks, nil
}

// wrongBlock returns the error of a block of another type. It names the mistakes that happen, and
// quotes nothing, as the block may be a secret.
func wrongBlock(b *pem.Block, want string) error {
	switch {
	case strings.HasSuffix(b.Type, privateBlock) && want == publicBlock: // of any kind: it is secret
		return errors.New("a private key is where public ones belong; name the public one, which 'openssl pkey -in FILE -pubout' prints, and keep the other secret")
	case b.Type == publicBlock && want == privateBlock:
		return errors.New("a public key cannot sign; name the private one")
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return errors.New("the private key is encrypted; write it without a passphrase to a file of its own, with 'openssl pkey -in FILE'")
	}
	return fmt.Errorf("it has a block other than a %s; make keys with 'switchyard policy keygen' or 'openssl genpkey -algorithm ed25519'", want)
}

// Generate makes a key and returns both halves in PEM: the private one as PKCS #8, the public
// one as PKIX, the forms in which `openssl genpkey` and `openssl pkey -pubout` write them.
func Generate() (private, public []byte, id string, err error) {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, nil, "", err
	}
	pkix, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, nil, "", err
	}
	k, err := newKey(pub)
	private = pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: pkcs8})
	public = pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: pkix})
	return private, public, k.ID, err
}

package provenance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

func TestKeysThatAreRefused(t *testing.T) {
	private, public, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(private)
	block.Type = "ENCRYPTED PRIVATE KEY"
	encrypted := pem.EncodeToMemory(block)
	block.Type = "OPENSSH PRIVATE KEY"
	openSSH := pem.EncodeToMemory(block)
	block.Type, block.Bytes = privateBlock, append(block.Bytes[:20], 0xff)
	short := pem.EncodeToMemory(block)
	other := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("whatever")})
	noKey := pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: []byte("whatever")})
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(p256.Public())
	if err != nil {
		t.Fatal(err)
	}
	otherKind := pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: pkix})
	damaged := strings.Replace(string(public), "-----END", "!!!!-----END", 1)
	secret := strings.Split(string(private), "\n")[1] // all of it is in one line
	for _, c := range []struct{ text, asPublic, asPrivate string }{
		{"", "no key in PEM", "no key in PEM"},
		{secret, "no key in PEM", "no key in PEM"},
		{string(private), "a private key is where public ones belong", ""},
		{string(public), "", "a public key cannot sign"},
		{string(public) + string(private), "a private key is where", "there are 2 keys; sign with one at a time"},
		{string(encrypted), "a private key is where public ones belong", "the private key is encrypted; write it without a passphrase"},
		{string(openSSH), "a private key is where public ones belong", "block other than a PRIVATE KEY; make keys with"},
		{string(short), "a private key is where", "not one of ed25519"},
		{string(other), "other than a PUBLIC KEY", "other than a PRIVATE KEY"},
		{string(noKey), "not one of ed25519", "a public key cannot sign"},
		{string(public) + damaged, "of 2 keys in PEM, 1 can be read", "of 2 keys in PEM, 1 can be read"},
		{damaged + string(public), "of 2 keys in PEM, 1 can be read", "of 2 keys in PEM, 1 can be read"},
		{strings.Replace(string(private), secret, secret[:20]+"\n", 1), "a private key is where", "not one of ed25519"},
		{strings.Repeat(" ", maxKeyFile) + string(public), "larger than 65536 bytes", "larger than 65536 bytes"},
		{string(otherKind), "not one of ed25519", "a public key cannot sign"},
	} {
		_, errPublic := ParseKeys([]byte(c.text))
		_, errPrivate := ParseSigner([]byte(c.text))
		for _, e := range []struct {
			err  error
			want string
		}{{errPublic, c.asPublic}, {errPrivate, c.asPrivate}} {
			if got := fmt.Sprint(e.err); e.want == "" && e.err != nil || !strings.Contains(got, e.want) {
				t.Errorf("%.60q: %v; want %q", c.text, e.err, e.want)
			} else if strings.Contains(got, secret[:12]) || strings.Contains(got, secret[30:42]) {
				t.Errorf("the error has the key: %v", e.err)
			}
		}
	}
}

func TestSeveralKeysInOneFile(t *testing.T) {
	_, a, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	_, b, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys([]byte("The old one:\n" + string(a) + "The new one:\n" + string(b) + string(a)))
	if err != nil || len(keys) != 2 || keys[0].ID == keys[1].ID {
		t.Errorf("%v, %v; want two different keys", keys, err)
	}
}

// Whatever way a signer is printed, its key is not.
func TestSignersAreNotPrinted(t *testing.T) {
	private, _, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(private)
	seed := block.Bytes[len(block.Bytes)-32:]
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", s, *s)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("signer", "id", s.ID)
	for _, form := range []string{"%x", "%X", "%d", "%v", "%s"} {
		if text := fmt.Sprintf(form, seed[:8]); strings.Contains(out.String(), strings.Trim(text, "[]")) {
			t.Errorf("the key is in %s", out.String())
		}
	}
}

func TestReadSigner(t *testing.T) {
	dir := t.TempDir()
	key := dir + "/key"
	id, err := WriteNewKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if s, err := ReadSigner(key); err != nil || s.ID != id {
		t.Fatalf("%v, %v", s, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644, 0o601} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSigner(key); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%04o; write chmod 600 %s", mode, key)) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	for path, want := range map[string]string{dir: "not a regular file", dir + "/none": "no such file", key + ".pub": "others than its owner"} {
		if _, err := ReadSigner(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

func TestWriteNewKeyOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, there := range []string{"a", "b.pub"} {
		write(t, filepath.Join(dir, there), []byte("mine"), 0o600)
		path := filepath.Join(dir, there[:1])
		if _, err := WriteNewKey(path); err == nil || !strings.Contains(err.Error(), there+" is there already; name another file") {
			t.Errorf("%s: %v", there, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, there)); err != nil || string(text) != "mine" {
			t.Errorf("%s is now %q, %v", there, text, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestReadSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		policy := dir + "/p.wasm"
		if text, err := ReadSignature(policy + ".sig"); text != nil || err != nil {
			t.Errorf("of no file: %q, %v", text, err)
		}
		write(t, policy+".sig", nil, 0o600)
		if text, err := ReadSignature(policy + ".sig"); text == nil || len(text) != 0 || err != nil {
			t.Errorf("of an empty file: %v, %v; want that there is one", text, err)
		}
		write(t, policy+".sig", make([]byte, MaxSize+1), 0o600)
		if _, err := ReadSignature(policy + ".sig"); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("of a large file: %v", err)
		}
		if err := os.Symlink("nowhere", dir+"/q.wasm.sig"); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSignature(dir + "/q.wasm.sig"); err == nil {
			t.Error("a link that leads nowhere counts as no signature")
		}
	})
}

func write(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
}

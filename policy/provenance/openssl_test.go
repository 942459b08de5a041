//go:build full

package provenance

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The package reads OpenSSL's keys and signatures, and OpenSSL reads the package's.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed (Debian: openssl)")
	}
	dir := t.TempDir()
	openssl := func(args ...string) string {
		t.Helper()
		c := exec.Command("openssl", args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	openssl("genpkey", "-algorithm", "ed25519", "-out", "theirs.pem")
	openssl("pkey", "-in", "theirs.pem", "-pubout", "-out", "theirs.pub")
	if err := os.Chmod(dir+"/theirs.pem", 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := WriteNewKey(dir + "/ours.pem")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/ours.pem.pub", dir+"/ours.pub"); err != nil {
		t.Fatal(err)
	}
	if text := openssl("pkey", "-in", "ours.pem", "-noout", "-text"); !strings.Contains(text, "ED25519 Private-Key") {
		t.Errorf("openssl reads our private key as %q", text)
	}
	for _, whose := range []string{"ours", "theirs"} {
		s, err := ReadSigner(dir + "/" + whose + ".pem")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeys(dir + "/" + whose + ".pub")
		if err != nil || len(keys) != 1 || keys[0].ID != s.ID || whose == "ours" && s.ID != id {
			t.Fatalf("%s: keys %v of signer %s, %v", whose, keys, s.ID, err)
		}
		der := openssl("pkey", "-pubin", "-in", whose+".pub", "-outform", "DER", "-out", "key.der") +
			openssl("dgst", "-sha256", "-r", "key.der")
		if !strings.HasPrefix(der, s.ID) {
			t.Errorf("%s: key id %s, and the sum of its DER is %s", whose, s.ID, der)
		}
		e, err := ParseEnvelope(signed(t, statement(), s))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/message", authenticated(PayloadType, e.Payload), 0o600)
		write(t, dir+"/message.sig", e.Signatures[0].Bytes, 0o600)
		openssl("pkeyutl", "-verify", "-pubin", "-inkey", whose+".pub", "-rawin", "-in", "message", "-sigfile", "message.sig")

		// And the other way round.
		openssl("pkeyutl", "-sign", "-inkey", whose+".pem", "-rawin", "-in", "message", "-out", "by-openssl.sig")
		if e.Signatures[0].Bytes, err = os.ReadFile(dir + "/by-openssl.sig"); err != nil {
			t.Fatal(err)
		}
		if signers, err := e.Verify(keys); err != nil || len(signers) != 1 {
			t.Errorf("%s: what openssl signed: %v, %v", whose, signers, err)
		}
	}
}

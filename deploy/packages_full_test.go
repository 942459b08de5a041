//go:build full

package deploy

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// version is that of the test releases in the names of packages.
const version = "1.98.7"

// handedOver names a folder with packages, for a test that continues in a process with other rights.
const handedOver = "SWITCHYARD_TEST_PACKAGES"

// shared are packages of the test release, signed, from which all tests install.
var shared struct {
	sync.Once
	folder string
}

// packages returns the folder with the packages of the test release.
func packages(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv(handedOver); folder != "" {
		return folder
	}
	shared.Do(func() {
		checkout := released(t)
		makePackages(t, checkout, nil)
		shared.folder = filepath.Join(checkout, "dist", "packages")
	})
	if shared.folder == "" {
		t.Fatal("there are no packages: another test failed to make them")
	}
	return shared.folder
}

// makePackages makes packages of the release that a checkout has, and signs them.
func makePackages(t *testing.T, checkout string, env []string) {
	t.Helper()
	cmd := makeIn(t, checkout, "--old-file=release", "packages", "VERSION="+tag, "KEY="+signingKey(t))
	cmd.Env = append(cmd.Env, env...)
	execute(t, cmd)
}

// signingKey writes the key with which the tests sign, always the same, and returns its file. The
// public key is beside it, with .pub behind its name.
func signingKey(t *testing.T) string {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("a key for the tests of packages!"))
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(scratch, "release.key")
	for name, block := range map[string]*pem.Block{file: {Type: "PRIVATE KEY", Bytes: private}, file + ".pub": {Type: "PUBLIC KEY", Bytes: public}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// asRoot continues with a test as root: at once, or in a user namespace, where the user is root. It
// reports whether the test runs here.
func asRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	again := exec.CommandContext(t.Context(), tool(t, "unshare", "util-linux"), "--user", "--map-root-user", os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), handedOver+"="+packages(t))
	t.Log(execute(t, again))
	return false
}

// packagesIn returns the names of the files in the folder of the packages.
func packagesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// 'make packages' makes a package of each format and an archive with images for each architecture,
// a bill of materials of each program, and checksums of all of them.
func TestPackagesAreComplete(t *testing.T) {
	want := []string{
		"SHA256SUMS", "SHA256SUMS.sig",
		"switchyard-1.98.7-1.aarch64.rpm", "switchyard-1.98.7-1.x86_64.rpm",
		"switchyard-1.98.7-chart.tgz",
		"switchyard-1.98.7-image.digest", "switchyard-1.98.7-image.tar",
		"switchyard-1.98.7-linux-amd64.cdx.json", "switchyard-1.98.7-linux-arm64.cdx.json",
		"switchyard_1.98.7-1_amd64.deb", "switchyard_1.98.7-1_arm64.deb",
		"yardbus-1.98.7-image.digest", "yardbus-1.98.7-image.tar",
		"yardbus-1.98.7-linux-amd64.cdx.json", "yardbus-1.98.7-linux-arm64.cdx.json",
	}
	folder := packages(t)
	if got := packagesIn(t, folder); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	sums := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = folder
	if out := execute(t, sums); strings.Count(out, ": OK") != len(want)-2 {
		t.Errorf("sums: %s", out)
	}
}

// The packages of each architecture have its program, and no other.
func TestPackagesOfBothArchitectures(t *testing.T) {
	folder := packages(t)
	for _, arch := range []string{"amd64", "arm64"} {
		file := filepath.Join(folder, "switchyard_"+version+"-1_"+arch+".deb")
		if got := strings.TrimSpace(execute(t, exec.Command(tool(t, "dpkg-deb", "dpkg"), "--field", file, "Architecture"))); got != arch {
			t.Errorf("%s is for %s", file, got)
		}
		unpacked := t.TempDir()
		execute(t, exec.Command("dpkg-deb", "--extract", file, unpacked))
		if read(t, filepath.Join(unpacked, "usr/bin/switchyard")) != read(t, filepath.Join(filepath.Dir(folder), "release", "switchyard-linux-"+arch)) {
			t.Errorf("%s has another program than the release", file)
		}
	}
}

// What 'make packages' makes of the same commit elsewhere, at another time and with other settings,
// has the same bytes.
func TestPackagesAreReproducible(t *testing.T) {
	first := packages(t)
	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	commit(t, elsewhere)
	if err := os.Mkdir(filepath.Join(elsewhere, "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(elsewhere, "dist", "release"), os.DirFS(filepath.Join(filepath.Dir(first), "release"))); err != nil {
		t.Fatal(err)
	}
	makePackages(t, elsewhere, []string{"LC_ALL=C", "TZ=Asia/Tokyo", "GOMAXPROCS=1"})
	for _, name := range packagesIn(t, first) {
		a, b := read(t, filepath.Join(first, name)), read(t, filepath.Join(elsewhere, "dist", "packages", name))
		if a != b {
			t.Errorf("%s: %d bytes and %d bytes that differ", name, len(a), len(b))
		}
	}
}

// A bill of materials lists the modules that 'go version -m' prints, for the program in the package.
func TestBillsOfMaterials(t *testing.T) {
	folder := packages(t)
	for _, name := range programs {
		program := filepath.Join(filepath.Dir(folder), "release", name)
		var want []string
		for line := range strings.Lines(execute(t, exec.Command("go", "version", "-m", program))) {
			if words := strings.Fields(line); len(words) == 4 && words[0] == "dep" {
				want = append(want, "pkg:golang/"+words[1]+"@"+words[2])
			}
		}
		kind, rest, _ := strings.Cut(name, "-")
		var bill struct {
			BOMFormat string
			Metadata  struct {
				Component struct {
					Name, Version string
					Hashes        []struct{ Alg, Content string }
				}
			}
			Components []struct{ Purl string }
		}
		if err := json.Unmarshal([]byte(read(t, filepath.Join(folder, kind+"-"+version+"-"+rest+".cdx.json"))), &bill); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range bill.Components {
			if !strings.HasPrefix(c.Purl, "pkg:golang/std@") {
				got = append(got, c.Purl)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: got %q\nwant %q", name, got, want)
		}
		sum, _, _ := strings.Cut(execute(t, exec.Command("sha256sum", program)), " ")
		if c := bill.Metadata.Component; bill.BOMFormat != "CycloneDX" || c.Name != kind || c.Version != version || len(c.Hashes) != 1 || c.Hashes[0].Content != sum {
			t.Errorf("%s: got %+v", name, bill.Metadata)
		}
	}
}

// A version that the programs do not have is refused, and nothing is left of the packages.
func TestPackagesOfAnotherVersion(t *testing.T) {
	out := filepath.Join(t.TempDir(), "packages")
	cmd := exec.Command("go", "-C", "packages", "run", "-trimpath", ".", "build", "--release", filepath.Join(released(t), "dist", "release"),
		"--stage", t.TempDir(), "--out", out, "--version", "v1.99.0")
	text, err := cmd.CombinedOutput()
	if want := "calls itself 1.98.7, by the tag of its commit; 'git tag v1.99.0' the commit, or leave VERSION out"; err == nil || !strings.Contains(string(text), want) {
		t.Errorf("%v\n%s\nwant %q", err, text, want)
	}
	if left := packagesIn(t, filepath.Dir(out)); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// arch is the architecture of this machine, as Go and Debian call it. Programs of it run here.
const arch = runtime.GOARCH

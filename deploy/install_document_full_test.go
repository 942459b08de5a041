//go:build full

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commandsOf returns the command lines of a document's sh blocks.
func commandsOf(t *testing.T, name string) (lines []string) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(read(t, name), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	return lines
}

// Every command line of docs/install.md does what the document says, in its order: with the packages
// of the test release, dpkg and rpm in the place of apt and dnf, whose repositories play no part,
// and buildah in the place of podman, which has the same storage.
func TestInstallDocument(t *testing.T) {
	if !asRoot(t) {
		return
	}
	folder := t.TempDir() // where the user is, with the packages and the key
	if err := os.CopyFS(folder, os.DirFS(packages(t))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "release.key.pub"), []byte(read(t, signingKey(t)+".pub")), 0o600); err != nil {
		t.Fatal(err)
	}
	debian, fedora := newSystemRoot(t), newSystemRoot(t)
	debian.booted()
	fedora.booted()
	host := debian // of the commands that both have
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	globals, env := buildahStore(t)

	for _, line := range commandsOf(t, filepath.Join(root, "docs", "install.md")) {
		line = strings.NewReplacer("1.5.0", version, "1.6.0", version, "_amd64", "_"+arch, "x86_64", machine).Replace(strings.TrimPrefix(line, "sudo "))
		words := strings.Fields(line)
		switch {
		case words[0] == "openssl" || words[0] == "sha256sum":
			tool(t, "openssl", "openssl")
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Dir = folder
			if out := execute(t, cmd); !strings.Contains(out, "Signature Verified Successfully") && strings.Count(out, ": OK\n") != len(packagesIn(t, packages(t)))-2 {
				t.Errorf("%s prints\n%s", line, out)
			}
		case strings.HasPrefix(line, "apt install ./"):
			debian.dpkg("--install", filepath.Join(folder, words[2]))
			debian.wantInstalled("usr/share/zsh/vendor-completions/_switchyard")
		case strings.HasPrefix(line, "apt remove "), strings.HasPrefix(line, "apt purge "):
			debian.dpkg("--"+words[1], words[2])
			if debian.exists("usr/bin/switchyard") || debian.exists("etc/switchyard") == (words[1] == "purge") {
				t.Errorf("%s left something, or took too much", line)
			}
		case strings.HasPrefix(line, "dnf install ./"), strings.HasPrefix(line, "dnf upgrade ./"):
			host = fedora
			fedora.rpm("-U", "--nodeps", "--replacepkgs", filepath.Join(folder, words[2]))
			fedora.wantInstalled("usr/share/zsh/site-functions/_switchyard")
		case strings.HasPrefix(line, "dnf remove "):
			fedora.rpm("--erase", words[2])
			if fedora.exists("usr/bin/switchyard") {
				t.Errorf("%s left the program", line)
			}
		case words[0] == "sudoedit":
			host.write(words[1], read(t, host.path(words[1]))+"\n# mine\n", 0o644)
		case words[0] == "systemctl":
			host.asked()
			host.run(append([]string{"/usr/bin/sh", "/usr/bin/systemctl"}, words[1:]...)...)
			if asked := host.asked(); asked != "enable --now switchyard\n" || !host.exists("usr/lib/systemd/system/switchyard.service") {
				t.Errorf("%s asks systemd to %q", line, asked)
			}
		case words[0] == "switchyard" && words[1] == "check":
			if code, out := host.run(append([]string{"/usr/bin/switchyard"}, words[1:]...)...); code != 0 {
				t.Errorf("%s: exit code %d, %s", line, code, out)
			}
		case words[0] == "switchyard" && words[1] == "policy":
			if code, out := switchyard(t, words[1:]...); code != 0 {
				t.Errorf("%s: exit code %d, %s", line, code, out)
			}
		case strings.HasPrefix(line, "podman load --input "):
			cmd := exec.Command(tool(t, "buildah", "buildah"), append(globals, "pull", "oci-archive:"+words[3])...)
			cmd.Dir, cmd.Env = folder, env
			execute(t, cmd)
			cmd = exec.Command("buildah", append(globals, "images", "--format", "{{.Name}}:{{.Tag}}")...)
			cmd.Env = env
			if out := execute(t, cmd); !strings.Contains(out, "/switchyard:"+version+"\n") {
				t.Errorf("%s makes the images\n%s", line, out)
			}
		case strings.HasPrefix(line, "podman pull "), strings.HasPrefix(line, "make "), strings.HasPrefix(line, "helm "):
			// TestImagesInARegistry pulls, and pushes by make; all tests here use 'make packages'.
			// TestChartCommands in kubernetes renders the chart.
		default:
			t.Errorf("%s is not tested", line)
		}
	}
}

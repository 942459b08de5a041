//go:build full

package deploy

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// registry starts Debian's registry of images, and returns its address.
func registry(t *testing.T) string {
	t.Helper()
	exe := tool(t, "docker-registry", "docker-registry")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	folder := t.TempDir()
	file := filepath.Join(folder, "registry.yml")
	config := fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n", filepath.Join(folder, "images"), address)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "serve", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if response, err := http.Get("http://" + address + "/v2/"); err == nil {
			response.Body.Close()
			return address
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// 'make push' copies the images to a registry, from which they are pulled by the digest that is
// signed. They have the settings of the Containerfile, and their programs run.
func TestImagesInARegistry(t *testing.T) {
	buildah := tool(t, "buildah", "buildah")
	folder := packages(t)
	if os.Geteuid() != 0 { // in a user namespace, where the user is root
		again := exec.CommandContext(t.Context(), buildah, "unshare", os.Args[0], "-test.run=^TestImagesInARegistry$")
		again.Env = append(os.Environ(), handedOver+"="+folder)
		t.Log(execute(t, again))
		return
	}
	address := registry(t)
	out := execute(t, makeIn(t, filepath.Dir(filepath.Dir(folder)), "push", "REGISTRY="+address+"/group"))
	globals, env := buildahStore(t)
	in := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), buildah, append(slices.Clone(globals), args...)...)
		cmd.Env = env
		return strings.TrimSpace(execute(t, cmd))
	}
	for name, argument := range map[string]string{"switchyard": "version", "yardbus": "--help"} {
		digest := strings.TrimSpace(read(t, filepath.Join(folder, name+"-1.98.7-image.digest")))
		image := address + "/group/" + name + "@" + digest
		if !strings.Contains(out, image+"\n") {
			t.Errorf("push prints no %s:\n%s", image, out)
		}
		if tagged := pulledIndex(t, address, "group/"+name, "1.98.7"); tagged.digest != digest || !slices.Equal(tagged.platforms, []string{"linux/amd64", "linux/arm64"}) {
			t.Errorf("the tag has %+v, want %s", tagged, digest)
		}
		container := in("from", "--quiet", "--tls-verify=false", image)
		if got := in("run", container, "--", "/"+name, argument); !strings.Contains(got, name) {
			t.Errorf("%s %s prints %q", name, argument, got)
		}
		if got := in("inspect", "--format", "{{.OCIv1.Config.User}} {{.OCIv1.Config.StopSignal}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Created}}", container); !strings.HasPrefix(got, "65532:65532 SIGTERM [/"+name) || !strings.HasSuffix(got, "2026-01-01 00:00:00 +0000 UTC") {
			t.Errorf("%s is %s", name, got)
		}
	}
	container := in("from", "--quiet", "--tls-verify=false", address+"/group/switchyard:1.98.7")
	in("run", container, "--", "/switchyard", "check", "--config", "/etc/switchyard/config.toml")
}

type index struct {
	digest    string
	platforms []string
}

// pulledIndex returns what a registry has under a tag.
func pulledIndex(t *testing.T, address, name, tag string) (got index) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v2/"+name+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/vnd.oci.image.index.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Manifests []struct {
			Platform struct{ OS, Architecture string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	for _, m := range body.Manifests {
		got.platforms = append(got.platforms, m.Platform.OS+"/"+m.Platform.Architecture)
	}
	got.digest = response.Header.Get("Docker-Content-Digest")
	return got
}

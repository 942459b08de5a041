//go:build full

package main

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startRegistry starts Debian's registry on an address, with what it has in a folder.
func startRegistry(t *testing.T, dir, address string) *exec.Cmd {
	t.Helper()
	save(t, dir, "registry.yml", fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n", filepath.Join(dir, "images"), address))
	c := exec.Command("docker-registry", "serve", filepath.Join(dir, "registry.yml"))
	if err := c.Start(); err != nil {
		t.Fatalf("docker-registry, see CONTRIBUTING.md: %v", err)
	}
	t.Cleanup(func() { stopRegistry(c) })
	impatient := http.Client{Timeout: time.Second} // a request that hangs is made again
	eventually(t, func() bool {
		resp, err := impatient.Get("http://" + address + "/v2/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, func() string { return "docker-registry does not answer" })
	return c
}

func stopRegistry(c *exec.Cmd) {
	if c.ProcessState == nil {
		c.Process.Kill()
		c.Wait()
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A policy in a registry comes into force when its tag moves, and a server that starts without
// the registry has the last one in force.
func TestRegistry(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	registry := startRegistry(t, dir, address)
	policy := "oci://" + address + "/acme/routes:stable"
	push := func(action string) string {
		t.Helper()
		save(t, dir, "routes.toml", savedTable(action))
		stdout, _ := runIn(t, dir, 0, "policy", "push", filepath.Join(dir, "routes.toml"), policy)
		return strings.TrimSpace(stdout)
	}
	first := push("broadcast-all")
	save(t, dir, "config.toml", fmt.Sprintf("[admin]\nsocket = \"a.sock\"\n[releases]\nstate = \"state\"\n[registry]\npoll = \"1s\"\n[tenant.default]\npolicy = %q\ninsecure_source = true\n", policy))
	p := start(t, dir)
	p.expect("policy in force", sum("broadcast-all"))
	if second := push("drop"); second == first || !strings.HasPrefix(second, "sha256:") {
		t.Errorf("pushed %s and %s", first, second)
	}
	p.expect("policy reloaded", sum("drop"))

	stopRegistry(registry)
	p.expect("policy source unreachable", policy)
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = start(t, dir)
	p.expect("the policy that was in force is taken from the history", sum("drop"))
	p.expect("serving")
	startRegistry(t, dir, address)
	p.expect("policy source reached again")

	// By its digest, the first one needs no other word.
	save(t, dir, "config.toml", fmt.Sprintf("[admin]\naddress = \"\"\n[tenant.default]\npolicy = \"oci://%s/acme/routes@%s\"\n", address, first))
	if stdout, _ := runIn(t, dir, 0, "check"); !strings.Contains(stdout, sum("broadcast-all")) {
		t.Errorf("check by digest: %s", stdout)
	}
}

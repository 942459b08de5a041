//go:build full || race

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"switchyard/proxy/admin/api"
)

// The sum of a table is that of its file, wherever the server shows it; the compiled module's
// is beside it. A policy that is signed again, and a good file that is put back, leave a
// line and an event each.
func TestSumsAndFactsOfThePolicyInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, key := filepath.Join(dir, "routes.toml"), filepath.Join(dir, "release.key")
	text := savedTable("broadcast-all")
	write(t, path, text)
	runHere(t, 0, "policy", "keygen", key)
	sign := func(version int) {
		runHere(t, 0, "policy", "sign", path, "--key", key, "--version", fmt.Sprint(version), "--tenant", "default", "--expires", "90d")
	}
	sign(1)
	bytes := sha256.Sum256([]byte(text))
	sum := hex.EncodeToString(bytes[:])
	p := start(t, dir, "--policy", "file:routes.toml", "--set", "reload.watch=false", "--set", "admin.address=127.0.0.1:0",
		"--set", "signatures.keys=release.key.pub", "--set", "signatures.state=state")
	in := p.expect("policy in force")
	if in["sha256"] != sum || in["module_sha256"] == nil || in["module_sha256"] == sum {
		t.Errorf("the log has %v, want the sum %s", in, sum)
	}
	o := (&caller{T: t}).byAddress(p, "")
	latest := func() api.PolicyEvent {
		var all api.Policies
		o.ask(200, "GET", "/api/v1/policies", "", "", &all)
		return all.Policies[0].History[0]
	}
	if e := latest(); e.SHA256 != sum || e.Module != in["module_sha256"] || e.Signature == nil || e.Signature.Version != 1 {
		t.Errorf("the API has %+v", e)
	}

	sign(2)
	p.signal(syscall.SIGHUP)
	if l := p.expect("policy signed again"); fmt.Sprint(l["version"]) != "2" {
		t.Errorf("the line is %v", l)
	}
	if e := latest(); e.State != api.InForce || e.Signature == nil || e.Signature.Version != 2 {
		t.Errorf("the API has %+v", e)
	}

	write(t, path, "this is not a table")
	p.signal(syscall.SIGHUP)
	p.expect("policy refused; keeping the one in force")
	if e := latest(); e.State != api.Refused {
		t.Errorf("the API has %+v", e)
	}
	write(t, path, text)
	p.signal(syscall.SIGHUP)
	p.expect("the refused policy is gone; its file is the one in force again")
	if e := latest(); e.State != api.InForce || e.SHA256 != sum || e.Signature.Version != 2 {
		t.Errorf("the API has %+v", e)
	}
	from := p.logged()
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, "policy unchanged", sum)

	write(t, path, text+"# a remark\n") // the same module from another file
	sign(3)
	bytes = sha256.Sum256([]byte(text + "# a remark\n"))
	p.signal(syscall.SIGHUP)
	p.expect("policy reloaded", hex.EncodeToString(bytes[:]))
}

package config

import "path/filepath"

// What a single key may be is in its key (keys.go). Here are the faults that take two keys to see.
// A check first asks whether the keys are sound: a value that was refused already would cause a
// second fault, which is gone when the first is corrected.

// check finds faults in combinations of keys.
func (r *reader) check() {
	r.checkListeners()
	r.checkAdmin()
	r.checkMetrics()
	r.checkProtocol()
	r.checkCommands()
	r.checkCluster()
	for _, t := range r.config.Tenants {
		r.checkLimits(t)
		r.checkTrust(t)
		r.checkRelease(t)
		r.checkSource(t)
		r.checkClaimsMatter(t)
		r.checkGroups(t)
	}
	if d := r.config.Drain; d.Spread > 0 && d.Spread >= d.Timeout && r.sound("drain.spread", "drain.timeout") {
		r.fault(r.place("drain.spread", "drain.timeout"), "drain.spread: %s is not below drain.timeout, %s, so some connections would be cut instead of closed; lower it or raise drain.timeout", d.Spread, d.Timeout)
	}
	r.checkAccessFile()
	if memory := r.config.WASM.Memory; memory%(64*kibibyte) != 0 {
		r.fault(r.place("wasm.memory"), "wasm.memory: %s is not whole pages; write a multiple of 64KiB", memory)
	}
}

// checkLimits requires the limits of memory to fit into each other:
//
//	lag_soft < lag_hard            8 MiB < 64 MiB    else lag_soft has no effect
//	max_pdu < lag_hard            16 MiB < 64 MiB    else one PDU closes its receivers
//	lag_hard + max_pdu < log      80 MiB < 256 MiB   else one peer fills the tenant's log
func (r *reader) checkLimits(t Tenant) {
	limits := "tenant." + t.Name + ".limits"
	hard, soft, log, pdu := limits+".lag_hard", limits+".lag_soft", limits+".log", "peer.max_pdu"
	if r.sound(hard, soft) && t.Limits.LagSoft >= t.Limits.LagHard {
		r.fault(r.place(soft, hard), "%s: %s is not below lag_hard, %s, so it would never matter; lower it or raise lag_hard",
			soft, t.Limits.LagSoft, t.Limits.LagHard)
	}
	if r.sound(hard, pdu) && t.Limits.LagHard <= r.config.Peer.MaxPDU {
		r.fault(r.place(hard, pdu), "%s: %s is not above %s, %s, so one large PDU would close every peer that it is sent to; raise it or lower %s",
			hard, t.Limits.LagHard, pdu, r.config.Peer.MaxPDU, pdu)
	}
	if least := t.Limits.LagHard + r.config.Peer.MaxPDU; r.sound(log, hard, pdu) && t.Limits.Log <= least {
		r.fault(r.place(log, hard, pdu), "%s: %s is not above lag_hard and %s together, %s, so a peer that lags as far as it may would stop the tenant; raise it or lower those",
			log, t.Limits.Log, pdu, least)
	}
}

// checkTrust checks the limits on which policy is loaded and on what it may do.
func (r *reader) checkTrust(t Tenant) {
	name := "tenant." + t.Name
	if t.RequireSignature && len(r.config.Signatures.Keys) == 0 && r.sound(name+".require_signature", "signatures.keys") {
		r.fault(r.place(name+".require_signature"), "%s.require_signature: there is no key to check a signature with, so no policy could be loaded; name files with public keys in signatures.keys, or leave it out", name)
	}
	limited := len(t.May) > 0 || len(t.MayCommands) > 0
	if t.MayElse != "drop" && !limited && r.sound(name+".may_else", name+".may", name+".may_commands") {
		r.fault(r.place(name+".may_else"), "%s.may_else: the policy may do everything, so this would never matter; say what it may in may or may_commands, or leave it out", name)
	}
}

// checkAccessFile refuses an access log in the place of what the server makes, or in its folders, or
// of what it reads. A path that is local as seen from another one is that one or below it. The server,
// which looks at the files, refuses other names of what it reads. A path whose folder cannot be told
// is left to the opening of the file.
func (r *reader) checkAccessFile() {
	c, name := r.config, "log.access_file"
	file, err := filepath.Abs(c.File(c.Log.AccessFile))
	if c.Log.AccessFile == "" || err != nil || !r.sound(name) {
		return
	}
	for _, made := range []struct{ key, text, path string }{
		{"admin.socket", c.Admin.Socket, c.File(c.Admin.Socket)},
		{"releases.state", c.Releases.State, c.File(c.Releases.State)},
		{"signatures.state", c.Signatures.State, c.File(c.Signatures.State)},
		{"wasm.faults", c.WASM.Faults, c.WASM.Faults},
	} {
		path, err := filepath.Abs(made.path)
		if made.text == "" || made.text == "auto" || err != nil {
			continue
		}
		if beyond, err := filepath.Rel(path, file); err == nil && filepath.IsLocal(beyond) {
			r.fault(r.place(name), "%s: %q is what %s names, or in it; name another file", name, c.Log.AccessFile, made.key)
		}
	}
	for _, input := range c.Inputs() {
		if path, err := filepath.Abs(input.Path); err == nil && path == file {
			r.fault(r.place(name), "%s: %q is what %s names; name another file", name, c.Log.AccessFile, input.Key)
			return
		}
	}
	if path, err := filepath.Abs(c.Path); err == nil && path == file && c.Path != "" {
		r.fault(r.place(name), "%s: %q is the configuration; name another file", name, c.Log.AccessFile)
	}
}

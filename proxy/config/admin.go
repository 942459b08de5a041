package config

// keys returns the keys of [admin], none of which takes effect before a restart. Tokens and certificates
// are exchanged in their files, which the server reads again.
func (a *Admin) keys() []key {
	keys := append([]key{
		{name: "admin.address", field: &a.Address, check: checkAddress.orNone()},
		{name: "admin.socket", field: &a.Socket, check: checkSocket},
		{name: "admin.read_token_file", field: &a.ReadTokenFile, check: checkPath, input: true},
		{name: "admin.operate_token_file", field: &a.OperateTokenFile, check: checkPath, input: true},
		{name: "admin.pprof", field: &a.PProf},
	}, a.TLS.keys("admin.tls")...)
	for i := range keys {
		keys[i].restart = true
	}
	return keys
}

// checkAdmin requires two rights to have two tokens, tokens to have an address, and an address that
// other machines reach to be encrypted and to say who may read:
//
//	address      tls.certificate  read_token_file  tls.client_ca
//	loopback     –                –                –              sound
//	elsewhere    yes              yes              –              sound
//	elsewhere    yes              –                yes            sound
//	elsewhere    –                any              –              what goes there could be read on its way
//	elsewhere    yes              –                –              everybody may read what peers send
func (r *reader) checkAdmin() {
	const address, read, operate, certificate, ca = "admin.address", "admin.read_token_file", "admin.operate_token_file", "admin.tls.certificate", "admin.tls.client_ca"
	a := r.config.Admin
	r.checkTLS(a.TLS, "admin.tls")
	if a.ReadTokenFile != "" && a.ReadTokenFile == a.OperateTokenFile {
		r.fault(r.place(operate), "%s: %q is %s as well, so reading would include operating; write another file", operate, a.OperateTokenFile, read)
	}
	if !r.sound(address) {
		return
	}
	if a.Address == "" {
		for _, token := range []struct{ name, file string }{{read, a.ReadTokenFile}, {operate, a.OperateTokenFile}} {
			if token.file != "" {
				r.fault(r.place(token.name), "%s: tokens are for admin.address, which is none; set that, or leave this out: admin.socket goes by the permissions of its file", token.name)
			}
		}
		if a.TLS.Certificate != "" {
			r.fault(r.place(certificate), "%s: it is for admin.address, which is none; set that, or leave this out", certificate)
		}
		return
	}
	if isLoopback(a.Address) || !r.sound(read, certificate, ca) {
		return
	}
	switch {
	case a.TLS.Certificate == "":
		r.fault(r.place(address), "%s: %q can be reached from other machines, and what goes there is not encrypted; write a loopback address, such as \"127.0.0.1:8280\", or \"\" for none, or name the files of a certificate in admin.tls.certificate and admin.tls.key", address, a.Address)
	case a.ReadTokenFile == "" && a.TLS.ClientCA == "":
		r.fault(r.place(address), "%s: %q can be reached from other machines, and everybody may read what peers send; ask for a token by admin.read_token_file, or for certificates by admin.tls.client_ca", address, a.Address)
	}
}

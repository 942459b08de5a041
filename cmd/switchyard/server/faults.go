package server

import (
	"errors"
	"os"
	"path/filepath"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/reproduce"
	"switchyard/proxy/hub"
)

// A PDU on which a policy failed is kept in a file, from which 'switchyard policy eval --reproduce'
// repeats the decision. The goroutines that write such files belong to proxy.Tenant.

// faultFolder returns the folder for PDUs on which policies failed; "" if they are not kept.
func (srv *server) faultFolder() string {
	if srv.config.WASM.Faults != "auto" {
		return srv.config.WASM.Faults
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		srv.log.Warn("inputs on which policies fail are not kept; set wasm.faults to a folder", "error", err)
		return ""
	}
	return filepath.Join(cache, "switchyard", "faults")
}

// faultKeeper returns the function that saves such a PDU in the folder and returns the file's name,
// or "" if it was not saved. Any goroutine may call it. That the folder is full is not logged: it is
// bounded, and it stays full once a policy fails often.
func (srv *server) faultKeeper(folder string) func(uint64, hub.Note) string {
	return func(session uint64, n hub.Note) string {
		switch n.Fault.Kind {
		case policy.FaultBody, policy.FaultBudget, policy.FaultInstance, policy.FaultEffect:
			return "" // not caused by the guest
		}
		file, err := reproduce.Save(folder, reproduce.Failure{
			Policy: n.Policy.Name, SHA256: n.Policy.SHA256, Config: n.Policy.Config,
			Question: policy.Question{Header: n.PDU[:pdu.HeaderLen], Body: n.PDU[pdu.HeaderLen:], Session: session, Attributes: n.Attributes, Groups: n.Groups},
			Kind:     n.Fault.Kind, Error: n.Fault.Err.Error(),
		})
		if err != nil && !errors.Is(err, reproduce.ErrFull) {
			srv.log.Warn("an input on which a policy failed is not kept", "folder", folder, "error", err)
		}
		return file
	}
}

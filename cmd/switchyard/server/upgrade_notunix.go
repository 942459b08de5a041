//go:build !unix

package server

import "os"

// notifyOfUpgrades does nothing: no signal asks for an upgrade.
func notifyOfUpgrades(chan<- os.Signal) {}

// descriptorLimit returns 0: it is not known.
func descriptorLimit() uint64 { return 0 }

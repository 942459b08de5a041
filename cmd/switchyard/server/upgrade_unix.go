//go:build unix

package server

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyOfUpgrades makes the signal that asks for an upgrade arrive at c.
func notifyOfUpgrades(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR2) }

// descriptorLimit returns how many descriptors this process may have open.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur)
}

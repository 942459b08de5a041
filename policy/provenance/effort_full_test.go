//go:build full

package provenance

// How much the tests of the ledger do. They find more the longer they run.
const (
	versionsOfProcess   = 300 // more than 1+3*crashes
	versionsOfGoroutine = 50
	crashes             = 12
)

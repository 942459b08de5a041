package proxy

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"switchyard/policy"
	"switchyard/proxy/hub"
	"switchyard/proxy/logtest"
)

// A folder that does not answer, in which the PDUs are kept on which a policy failed, holds up no
// peer and no stop, and every fault is logged.
func TestFaultFolderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const faults = 2 * keepAtOnce
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		hang, kept := make(chan struct{}), make(chan string, faults)
		tenant.KeepFaults(func(_ uint64, n hub.Note) string {
			kept <- string(n.PDU)
			<-hang
			return "late"
		})
		lines := new(logtest.Lines)
		tenant.notes.log = slog.New(slog.NewTextHandler(lines, nil))
		pdu := message(others, 1, "what the policy fails on")
		for range faults {
			tenant.notes.lines.Flush(func(string, int) {}) // so that every fault may be logged
			n := hub.Note{PDU: pdu, PDUs: 1, Fault: &policy.Fault{Kind: policy.FaultTrap, Err: errStopped}, Policy: new(policy.Generation)}
			tenant.notes.write(1, n)
		}
		clear(pdu)
		tenant.notes.running.Wait()
		if n := strings.Count(lines.String(), "the policy failed"); n != faults {
			t.Errorf("%d faults are logged, want %d", n, faults)
		}
		if len(kept) != keepAtOnce {
			t.Errorf("%d files are being written at once, want %d", len(kept), keepAtOnce)
		}
		for range len(kept) {
			if got := <-kept; got[len(got)-2:] != "on" {
				t.Errorf("kept %q, which was overwritten", got)
			}
		}
		close(hang)
	})
}

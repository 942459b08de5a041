//go:build full || race

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"switchyard/cmd/switchyard/dialogue"
)

// moreDialogues names a directory of further recorded dialogues to be replayed.
const moreDialogues = "SWITCHYARD_DIALOGUES"

// Switchyard answers every dialogue that was recorded from the original with the same bytes on
// each connection. One server answers all, each with a tenant of its own; with the tag full,
// TestDialoguesAlone starts a server for each.
func TestDialogues(t *testing.T) {
	t.Parallel()
	dialogues := loadDialogues(t)
	p := configured(t, t.TempDir(), withDialogues(len(dialogues)))
	addresses := dialogueAddresses(p, len(dialogues))
	together(t, dialogues, addresses, func() {})
	p.mustStop()
}

// loadDialogues returns all dialogues.
func loadDialogues(t *testing.T) (all []dialogue.Dialogue) {
	t.Helper()
	dirs := []string{"dialogue/testdata"}
	if dir := os.Getenv(moreDialogues); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		dialogues, err := dialogue.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, dialogues...)
	}
	return all
}

// everyFourth returns a quarter of them, of all kinds.
func everyFourth(all []dialogue.Dialogue) (some []dialogue.Dialogue) {
	for i := 0; i < len(all); i += 4 {
		some = append(some, all[i])
	}
	return some
}

// mustStop stops the server, which drains in time.
func (p *process) mustStop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		p.t.Errorf("exit code %d, want %d", code, exitStopped)
	}
}

func dialogueTenant(i int) string { return fmt.Sprintf("recorded-%d", i) }

// withDialogues is a configuration with a tenant for each dialogue beside the default one. On a busy
// machine a connection may be silent for longer than a peer usually may.
func withDialogues(n int) string {
	var b strings.Builder
	b.WriteString("[[listener]]\n[tenant.default]\n")
	for i := range n {
		fmt.Fprintf(&b, "[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%[1]s]\n", dialogueTenant(i))
	}
	return b.String()
}

// dialogueAddresses returns the addresses at which p serves those tenants.
func dialogueAddresses(p *process, n int) []string {
	p.t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = p.expect(`"msg":"listening"`, `"tenant":"`+dialogueTenant(i)+`"`)["address"].(string)
	}
	return addresses
}

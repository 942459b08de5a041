//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"switchyard/cmd/yardbench/message"
	"switchyard/cmd/yardbench/process"
)

// A contender is a server that takes part in a comparison.
type contender struct {
	name     string
	version  string
	protocol message.Protocol
	command  []string
	tls      []string    // further arguments that make it speak TLS from the first byte; nil: unknown
	staging  *staging    // a release that it has under way; nil for contenders of other comparisons
	cluster  *clustering // nil: one process
}

// buildSwitchyard builds this repository's server, whose root is given, into dir. Its configuration
// is the default one but for what would disturb the measurement: the admin interface, which takes a
// fixed port, and lines of the log.
func buildSwitchyard(ctx context.Context, root, dir string, id identity) (contender, error) {
	exe := filepath.Join(dir, "switchyard")
	if _, err := tool(ctx, root, "go", "build", "-o", exe, "./cmd/switchyard"); err != nil {
		return contender{}, err
	}
	return contender{name: "switchyard", version: revision(ctx, root), command: []string{exe,
		"--listen", process.Address, "--set", "admin.address=", "--set", "log.level=warn"},
		tls: []string{"--set", "listener.0.tls.certificate=" + id.certificate, "--set", "listener.0.tls.key=" + id.key}}, nil
}

// buildNATS builds nats-server into dir, in the version that this command's go.mod names.
func buildNATS(ctx context.Context, root, dir string, id identity) (contender, error) {
	exe := filepath.Join(dir, "nats-server")
	if _, err := tool(ctx, filepath.Join(root, "cmd", "yardbench"), "go", "build", "-o", exe, "github.com/nats-io/nats-server/v2"); err != nil {
		return contender{}, err
	}
	version, err := tool(ctx, root, exe, "--version")
	if err != nil {
		return contender{}, err
	}
	// Usually nats-server sends a line in plain text first. Only a file can turn that off.
	config := filepath.Join(dir, "nats-server.conf")
	text := fmt.Sprintf("tls { cert_file: %q, key_file: %q, handshake_first: true }\n", id.certificate, id.key)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return contender{}, err
	}
	return contender{name: "nats", version: version, protocol: message.NATS, command: []string{exe, "--addr", process.Host, "--port", process.Port},
		tls: []string{"--config", config}}, nil
}

// otherContender parses NAME=COMMAND, such as other=./hub --listen {address}. Words are separated by
// blanks; there are no quotes.
func otherContender(text string) (contender, error) {
	name, command, found := strings.Cut(text, "=")
	c := contender{name: name, command: strings.Fields(command)}
	if !found || name == "" || len(c.command) == 0 || !strings.Contains(command, process.Address) && !strings.Contains(command, process.Port) {
		return c, usageError{fmt.Errorf("--server %q is not a server; write NAME=COMMAND, with %s where it takes the address to listen on", text, process.Address)}
	}
	// The server runs in a temporary folder, so its path has to be absolute.
	if strings.Contains(c.command[0], "/") {
		exe, err := filepath.Abs(c.command[0])
		if err != nil {
			return c, usageError{err}
		}
		c.command[0] = exe
	}
	c.version = strings.Join(c.command, " ")
	return c, nil
}

// tool runs a program in a folder and returns its output.
func tool(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s: %w\n%s", cmd, err, exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// repository returns the root of the repository, in which the command has to run: the
// folder of the module switchyard, which is either the current one or the one that
// replaces it here.
func repository(ctx context.Context) (string, error) {
	root, err := tool(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "switchyard")
	if err != nil {
		return "", usageError{fmt.Errorf("find Switchyard's source: %w; run this in its repository", err)}
	}
	return root, nil
}

// revision names the source that is built. Figures of a tree with changes are worth little later, so
// the table says that there were some.
func revision(ctx context.Context, root string) string {
	commit, err := tool(ctx, root, "git", "rev-parse", "--short", "HEAD")
	if err != nil {
		return "of an unknown revision"
	}
	if changes, err := tool(ctx, root, "git", "status", "--porcelain"); err != nil || changes != "" {
		return "commit " + commit + " with changes"
	}
	return "commit " + commit
}

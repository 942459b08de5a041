//go:build full || race

package main

import (
	"path/filepath"
	"testing"
)

// A configuration that is refused because of a file that it names takes effect when that file is saved,
// although the configuration in force does not name it.
func TestMendedFilesOfARefusedConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const first = "[[listener]]\ntenant = \"one\"\n[tenant.one]\n"
	p := configured(t, dir, first)
	p.expect(`"msg":"serving"`)
	for _, c := range []struct{ more, file, bad, good, changed string }{
		{"[commands]\nproto = \"my.proto\"\nCID_MY_ORDER = { id = 0x0901, message = \"my.Order\" }\n", "my.proto",
			"message {", "syntax = \"proto2\";\npackage my;\nmessage Order {}\n", "commands.proto"},
		{"[tenant.two]\npolicy = \"file:two.toml\"\n", "two.toml", "nonsense", everyone, "tenant.two"},
		{"[metrics]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n", "token", "short", "0123456789abcdef", "metrics.token_file"},
	} {
		seen := p.logged()
		write(t, filepath.Join(dir, "config.toml"), first+c.more)
		p.expectFrom(seen, "configuration refused", c.file)
		seen = p.logged()
		write(t, filepath.Join(dir, c.file), c.bad)
		p.expectFrom(seen, "configuration refused", c.file)
		write(t, filepath.Join(dir, c.file), c.good)
		p.expectFrom(seen, "configuration reloaded", c.changed)
	}
}

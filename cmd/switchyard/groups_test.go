//go:build full || race

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// The commands of these tests.
var (
	kick    = pdutest.Raw(pdu.CID_OTHER_SERVER_KICK_USER, 1, []byte("\x08\x01"))
	receipt = pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, []byte("\x08\x01\x10\x02\x18\x03\x20\x01"))
)

const groupsConfiguration = `
[[listener]]
[tenant.default]
policy = "file:routes.toml"
[tenant.default.group.admin]
networks = ["127.0.0.2"]
[tenant.default.group.guests]
networks = ["127.0.0.3", "127.0.0.4"]
[tenant.default.group.http]
networks = ["127.0.0.4"]
broadcasts = false
[tenant.default.group.archive]
networks = ["127.0.0.5"]
broadcasts = false
`

const groupsTable = `
extends = "teamtalk"
[from.admin]
CID_OTHER_SERVER_KICK_USER = "broadcast-except-sender, also group archive"
[from.guests]
CID_MSG_DATA = "drop, log"
[route]
CID_OTHER_SERVER_KICK_USER = "drop, log"
CID_MSG_READ_NOTIFY        = "unicast group archive"
`

// Groups decide who may say what, and who gets what. A saved configuration changes them for the peers
// that are connected.
func TestGroups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "routes.toml"), groupsTable)
	p := configured(t, dir, groupsConfiguration).at()
	join := func(source string) peer { return p.join(from(t, source, p.address)) }
	admin, guest, http, archive, other := join("127.0.0.2"), join("127.0.0.3"), join("127.0.0.4"), join("127.0.0.5"), join("127.0.0.1")
	for _, c := range []peer{admin, guest, http, archive, other} {
		c.settle()
	}

	guest.say(kick, spoken("not said"))
	other.say(kick)
	guest.settle() // what it said before has been judged
	admin.say(kick, receipt)
	other.expect(kick)
	other.say(spoken("hello"))
	admin.expect(spoken("hello"))
	guest.expect(kick, spoken("hello"))
	archive.expect(kick, receipt)
	http.settle() // nothing came

	write(t, filepath.Join(dir, "config.toml"), groupsConfiguration+"\n[tenant.default.group.late]\nnetworks = [\"10.0.0.0/8\"]\n")
	p.expect(`"msg":"configuration reloaded"`, `tenant.default.group.late`)
	swapped := `
[[listener]]
[tenant.default]
policy = "file:routes.toml"
[tenant.default.group.admin]
networks = ["127.0.0.3"]
[tenant.default.group.guests]
networks = ["127.0.0.2"]
[tenant.default.group.archive]
networks = ["127.0.0.4"]
`
	write(t, filepath.Join(dir, "config.toml"), swapped)
	p.expect(`"msg":"configuration reloaded"`, `tenant.default.group.http`, `tenant.default.group.admin.networks`)
	admin.say(kick, spoken("not said"))
	guest.say(kick, receipt, spoken("now"))
	admin.expect(kick, spoken("now"))
	http.expect(kick, receipt, spoken("now"))
	archive.expect(kick, spoken("now"))
	other.expect(kick, spoken("now"))

	// The policy in force needs its groups.
	write(t, filepath.Join(dir, "config.toml"), "[[listener]]\n[tenant.default]\npolicy = \"file:routes.toml\"\n")
	p.expect(`"msg":"configuration refused; keeping the one in force"`, "names groups that the configuration no longer has: admin, archive, guests; keep [tenant.default.group.admin] until another policy is in force")
	write(t, filepath.Join(dir, "routes.toml"), "extends = \"teamtalk\"\n[from.gests]\nelse = \"drop\"\n")
	p.expect(`"msg":"policy refused; keeping the one in force"`, `groups gate`, `it names the group \"gests\", which the tenant does not have; did you mean guests?`)
	// With a policy that does not need them, they can go.
	write(t, filepath.Join(dir, "routes.toml"), "extends = \"teamtalk\"\n")
	p.expect(`"msg":"policy reloaded"`)
	p.signal(syscall.SIGHUP)
	p.expect(`"msg":"configuration reloaded"`, `"changed":["tenant.default.group.admin","tenant.default.group.archive","tenant.default.group.guests"]`)
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	checkCounts(t, p)
}

// groupsByTLS puts peers into groups by what a TLS handshake proves: a certificate, a server name, or
// both.
const groupsByTLS = `
[[listener]]
[listener.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "clients.pem"
[tenant.default]
policy = "file:routes.toml"
[tenant.default.group.admin]
certificates = ["uri:spiffe://example.org/admin/*"]
[tenant.default.group.guests]
server_names = ["hub.globex.example"]
[tenant.default.group.archive]
certificates = ["cn:archive-*"]
server_names = ["hub.example"]
broadcasts = false
`

// A peer's certificate and the server name that it asked for decide in which groups it is, also after
// a reload of the groups while it is connected.
func TestGroupsByCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "routes.toml"), groupsTable)
	servers, clients := authorities(t, dir)
	p := configured(t, dir, groupsByTLS).at()
	const hub, guests = "hub.example", "hub.globex.example"
	admin := p.joinTLS(servers, hub, clients.Client("one", "spiffe://example.org/admin/one"))
	guest := p.joinTLS(servers, guests, clients.Client("two", "spiffe://example.org/staff/two"))
	archive := p.joinTLS(servers, hub, clients.Client("archive-1"))
	elsewhere := p.joinTLS(servers, guests, clients.Client("archive-2")) // has the name of an archive, and asked for the guests' server
	for _, c := range []peer{admin, guest, archive, elsewhere} {
		c.settle()
	}

	guest.say(kick, spoken("not said"))
	elsewhere.say(kick, spoken("not said"))
	archive.say(kick)
	for _, c := range []peer{guest, elsewhere, archive} {
		c.settle() // what it said before has been judged
	}
	admin.say(kick, receipt, spoken("hello"))
	guest.expect(kick, spoken("hello"))
	elsewhere.expect(kick, spoken("hello"))
	archive.expect(kick, receipt)

	swapped := strings.NewReplacer("admin/*", "staff/*", guests, hub, hub, guests).Replace(groupsByTLS)
	write(t, filepath.Join(dir, "config.toml"), swapped)
	p.expect(`"msg":"configuration reloaded"`, "tenant.default.group.admin.certificates", "tenant.default.group.archive.server_names", "tenant.default.group.guests.server_names")
	admin.say(kick, spoken("not said"))
	archive.say(kick, spoken("not said"))
	admin.settle()
	archive.settle()
	guest.say(kick, receipt, spoken("now"))
	admin.expect(kick, spoken("now"))
	archive.expect(kick, spoken("now"))
	elsewhere.expect(kick, receipt) // the archive now
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	checkCounts(t, p)
}

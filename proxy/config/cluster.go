package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// Cluster says with which other hubs this one acts as one, and by which bus.
type Cluster struct {
	Name          string   // of the hubs that act as one; empty if this hub is alone
	Hub           int64    // this hub's number, 1 to MostHubs
	Servers       []string // addresses of the bus, "tls://HOST:PORT" or, on the loopback, "nats://HOST:PORT"
	Credentials   string   // file with NATS credentials; empty for none
	CA            string   // PEM file of the CAs that vouch for the servers; empty for the system's
	Certificate   string   // PEM file with this hub's certificate; empty for none
	Key           string   // PEM file
	Replicas      int64    // how many servers keep each tenant's log
	Log           Size     // bytes of each tenant that the bus keeps
	Window        Size     // bytes of a tenant that may be under way
	Queue         Size     // bytes of a tenant that may wait behind these
	MemberTimeout Duration // after which a hub of which nothing was read is gone
	AloneAfter    Duration // without the bus, after which this hub continues alone; zero is never
	StandbyLinks  bool     // sessions get nothing until they declare themselves master
}

// MostHubs is the highest number of a hub.
const MostHubs = 4095

// windows is how many windows the log has to hold: a hub that lags by less finds what it
// missed.
const windows = 8

// keys returns the keys of the cluster. They all wait for a restart, because a hub cannot
// move from one order to another.
func (c *Cluster) keys() []key {
	keys := []key{
		{name: "name", field: &c.Name, check: checkClusterName.orNone()},
		{name: "hub", field: &c.Hub, min: 0, max: MostHubs},
		{name: "servers", field: &c.Servers, check: checkBusServer},
		{name: "credentials", field: &c.Credentials, check: checkPath, input: true},
		{name: "ca", field: &c.CA, check: checkPath, input: true},
		{name: "certificate", field: &c.Certificate, check: checkPath, input: true},
		{name: "key", field: &c.Key, check: checkPath, input: true},
		{name: "replicas", field: &c.Replicas, min: 1, max: 5},
		{name: "log", field: &c.Log, min: int64(8 * mebibyte), max: int64(64 * gibibyte)},
		{name: "window", field: &c.Window, min: int64(mebibyte), max: int64(256 * mebibyte)},
		{name: "queue", field: &c.Queue, min: int64(mebibyte), max: int64(4 * gibibyte)},
		{name: "member_timeout", field: &c.MemberTimeout, min: int64(2500 * millisecond), max: int64(5 * minute)},
		{name: "alone_after", field: &c.AloneAfter, min: 0, max: int64(hour)},
		{name: "standby_links", field: &c.StandbyLinks},
	}
	for i := range keys {
		keys[i].name = "cluster." + keys[i].name
		keys[i].restart = true
	}
	return keys
}

var clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// IsClusterName reports whether text can be the name of a cluster, and so part of a subject of the bus.
func IsClusterName(text string) bool { return clusterName.MatchString(text) }

// checkClusterName accepts the name of a cluster.
var checkClusterName = matching(clusterName, `not a cluster's name; write 1 to 32 of a-z, 0-9 and -, with no - at the ends, or "" for a hub of its own`)

// checkBusServer accepts the address of a server of the bus. The bus sees all bodies, so what
// leaves the machine is encrypted.
var checkBusServer = check{`^(tls|nats)://[^/@?#]+:[0-9]+/*$`, func(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Port() == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "tls" && u.Scheme != "nats" {
		return fmt.Errorf("%q is not an address of the bus; write \"tls://HOST:PORT\", such as \"tls://10.1.0.7:4222\"", text)
	}
	if u.User != nil {
		return fmt.Errorf("%q has a user in it; name a file in cluster.credentials instead", u.Redacted())
	}
	if u.Scheme == "nats" && !isLoopback(u.Host) {
		return fmt.Errorf("%q is another machine, and what is said to it would not be encrypted; write \"tls://%s\", and let the server use TLS", text, net.JoinHostPort(u.Hostname(), u.Port()))
	}
	return nil
}}

// checkCluster requires what belongs together: a name with a number and servers, a certificate with its
// key, a log that holds several windows, and more time before a hub continues alone than before it is
// declared gone.
func (r *reader) checkCluster() {
	const name, hub, servers, certificate, key = "cluster.name", "cluster.hub", "cluster.servers", "cluster.certificate", "cluster.key"
	c := r.config.Cluster
	switch {
	case !r.sound(name):
	case c.Name == "" && c.StandbyLinks && r.sound("cluster.standby_links"):
		r.fault(r.place("cluster.standby_links"), "cluster.standby_links: a hub of its own serves every link; leave it out, or write the name of the hubs that act as one in cluster.name")
	case c.Name == "" && (c.Hub != 0 && r.sound(hub) || len(c.Servers) > 0 && r.sound(servers)):
		r.fault(r.place(hub, servers), "cluster: a number or servers without cluster.name have no effect; write the name of the hubs that act as one, or leave them out")
	case c.Name == "":
	default:
		if c.Hub == 0 && r.sound(hub) {
			r.fault(r.place(name), "%s: this hub has no number; write one of 1 to %d in %s, another at each hub of %q", name, MostHubs, hub, c.Name)
		}
		if len(c.Servers) == 0 && r.sound(servers) {
			r.fault(r.place(name), "%s: there is no bus by which the hubs of %q could agree; write its addresses in %s", name, c.Name, servers)
		}
	}
	if r.sound(certificate, key) && (c.Certificate == "") != (c.Key == "") {
		r.fault(r.place(certificate, key), "%s and %s belong together; name the files of both, or none", certificate, key)
	}
	if least := windows * c.Window; r.sound("cluster.log", "cluster.window") && c.Log < least {
		r.fault(r.place("cluster.log", "cluster.window"), "cluster.log: %s is less than %d windows, %s, so a hub that lags a little would have to enter again; raise it or lower cluster.window", c.Log, windows, least)
	}
	if r.sound("cluster.alone_after", "cluster.member_timeout") && c.AloneAfter != 0 && c.AloneAfter <= c.MemberTimeout {
		r.fault(r.place("cluster.alone_after", "cluster.member_timeout"), "cluster.alone_after: %s is not above cluster.member_timeout, %s; raise it, as the bus may take 9s to elect a leader, or write 0s for never", c.AloneAfter, c.MemberTimeout)
	}
}

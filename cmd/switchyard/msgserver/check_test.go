package msgserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// two is a file without faults.
const two = "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.5\nRouteServerPort2=8200\n"

// What msg_server makes of a file, and what is wrong with it. Each want is a part of a finding.
func TestRead(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, text string
		servers    string
		wants      []string
	}{
		{"sound", two, "10.1.0.4:8200 10.1.0.5:8200", nil},
		{"spaces, tabs and comments", "# RouteServerIP1=10.1.0.3\n \tRouteServerIP1 =\t10.1.0.4 # the first\nRouteServerPort1= 8200#\n", "10.1.0.4:8200", nil},
		{"no line feed at the end", "RouteServerPort1=8200\nRouteServerIP1=10.1.0.4", "10.1.0.4:8200", nil},
		{"loopback", "RouteServerIP1=127.0.0.1\nRouteServerPort1=8200\n", "127.0.0.1:8200", nil},
		{"nothing", "ListenIP=0.0.0.0\n", "", []string{"f: names no route server"}},
		{"empty", "", "", []string{"f: names no route server"}},
		{"CR", "ListenIP=0.0.0.0\r\n\r\n" + strings.ReplaceAll(two, "\n", "\r\n"), "10.1.0.4:8200 10.1.0.5:8200", []string{"f:1: the line ends with CR and LF, and msg_server keeps the CR in the value of ListenIP"}},
		{"mark", "\xef\xbb\xbf" + two, "", []string{"f:1: a byte order mark precedes RouteServerIP1", "f:2: RouteServerPort1 is not read, because RouteServerIP1 is missing", "f:3: RouteServerIP2 is not read", "names no route server"}},
		{"mark before a comment", "\xef\xbb\xbf# the route servers\n" + two, "10.1.0.4:8200 10.1.0.5:8200", nil},
		{"UTF-16", "R\x00o\x00", "", []string{"f: the file has zero bytes, as in UTF-16"}},
		{"twice", "RouteServerIP1=10.1.0.3\n" + two, "10.1.0.3:8200 10.1.0.5:8200", []string{"f:2: RouteServerIP1 is set in line 1 already, and msg_server takes the first"}},
		{"gap", "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP3=10.1.0.5\nRouteServerPort3=8200\n", "10.1.0.4:8200", []string{"f:3: RouteServerIP3 is not read, because msg_server's list ends where RouteServerIP2 or RouteServerPort2 is missing; number"}},
		{"no port", "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.5\n", "10.1.0.4:8200", []string{"f:3: RouteServerIP2 is not read, because RouteServerPort2 is missing or has no value; add it"}},
		{"no value", "RouteServerIP1=\nRouteServerPort1=8200\n", "", []string{"f:2: RouteServerPort1 is not read, because RouteServerIP1 is missing or has no value", "names no route server"}},
		{"other spelling", "RouteServerIp1=10.1.0.4\nRouteServerPort1=8200\nroute_server_port02=8200\nRouteServerIP=10.1.0.4\nRouteServerIP0=10.1.0.4\n", "", []string{
			`f:1: msg_server knows no key "RouteServerIp1"; write RouteServerIP1`, `f:3: msg_server knows no key "route_server_port02"; write RouteServerPort2`,
			`f:4: msg_server knows no key "RouteServerIP"; write RouteServerIP1`, `f:5: msg_server knows no key "RouteServerIP0"`, "f:2: RouteServerPort1 is not read", "names no route server"}},
		{"name", "RouteServerIP1=hub.example\nRouteServerPort1=8200\n", "hub.example:8200", []string{`f:1: RouteServerIP1: "hub.example" is not an address but a name`}},
		{"octal", "RouteServerIP1=010.001.000.004\nRouteServerPort1=8200\n", "8.1.0.4:8200", []string{`"010.001.000.004" is read as 8.1.0.4`}},
		{"short", "RouteServerIP1=10.1.4\nRouteServerPort1=8200\n", "10.1.0.4:8200", []string{`"10.1.4" is read as 10.1.0.4`}},
		{"words behind", "RouteServerIP1=10.1.0.4 main\nRouteServerPort1=8200\n", "10.1.0.4:8200", []string{`"10.1.0.4 main" is read as 10.1.0.4`}},
		{"two in one", "RouteServerIP1=10.1.0.4;10.1.0.5\nRouteServerPort1=8200\n", "10.1.0.4;10.1.0.5:8200", []string{"is not one address; write one address for each number"}},
		{"port in the address", "RouteServerIP1=10.1.0.4:8200\nRouteServerPort1=8200\n", "10.1.0.4:8200:8200", []string{"write the port as RouteServerPort1"}},
		{"IPv6", "RouteServerIP1=fd00::4\nRouteServerPort1=8200\n", "fd00::4:8200", []string{"IPv6"}},
		{"no address to connect to", "RouteServerIP1=0.0.0.0\nRouteServerPort1=8200\n", "0.0.0.0:8200", []string{"nothing can be connected to at 0.0.0.0"}},
		{"ports", "RouteServerIP1=10.1.0.4\nRouteServerPort1=78200\nRouteServerIP2=10.1.0.5\nRouteServerPort2=82OO\n", "10.1.0.4:0 10.1.0.5:0", []string{`f:2: RouteServerPort1: "78200" is not a port`, `f:4: RouteServerPort2: "82OO" is not a port`}},
		{"the same twice", "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.4\nRouteServerPort2=8200\n", "10.1.0.4:8200 10.1.0.4:8200", []string{"f:3: RouteServerIP1 and RouteServerIP2 are the same route server"}},
		{"the same three times", "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.4\nRouteServerPort2=8200\nRouteServerIP3=10.1.0.4\nRouteServerPort3=8200\n", "10.1.0.4:8200 10.1.0.4:8200 10.1.0.4:8200", []string{"f:3: RouteServerIP1 and RouteServerIP2", "f:5: RouteServerIP1 and RouteServerIP3"}},
		{"long comment", "# " + long + "\n" + two, "10.1.0.4:8200 10.1.0.5:8200", nil},
		{"long comment with a setting", "#" + strings.Repeat("x", bytesAtOnce-1) + "RouteServerIP1=10.1.0.3\n" + two, "10.1.0.3:8200 10.1.0.5:8200", []string{"f:1: the line is longer than 255 bytes", "f:2: RouteServerIP1 is set in line 1 already"}},
		{"long value", "aesKey=" + long + "\n" + two, "10.1.0.4:8200 10.1.0.5:8200", []string{"f:1: the line is longer than 255 bytes"}},
		{"the longest line", "#" + strings.Repeat("x", bytesAtOnce-1) + "\n" + two, "10.1.0.4:8200 10.1.0.5:8200", nil},
	} {
		f := Read("f", []byte(c.text))
		if got := strings.Join(f.List(), " "); got != c.servers {
			t.Errorf("%s: connects to %q, want %q", c.name, got, c.servers)
		}
		requireFindings(t, c.name, Check([]*File{f}, nil), c.wants)
	}
}

// requireFindings fails unless each want is in a finding, and no finding is without a want.
func requireFindings(t *testing.T, name string, found []Finding, wants []string) {
	t.Helper()
	for _, want := range wants {
		if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.String(), want) }) {
			t.Errorf("%s: %q is not in %v", name, want, found)
		}
	}
	for _, f := range found {
		if !slices.ContainsFunc(wants, func(want string) bool { return strings.Contains(f.String(), want) }) {
			t.Errorf("%s: %v is not wanted", name, f)
		}
	}
}

// fleet reads files called 1, 2 and so on, each a list of hosts at port 8200.
func fleet(lists ...string) (files []*File) {
	for i, list := range lists {
		var text strings.Builder
		for j, host := range strings.Fields(list) {
			fmt.Fprintf(&text, "RouteServerIP%d=%s\nRouteServerPort%d=8200\n", j+1, host, j+1)
		}
		files = append(files, Read(fmt.Sprint(i+1), []byte(text.String())))
	}
	return files
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []*File
		wants []string
	}{
		{"alike", fleet("10.1.0.4 10.1.0.5", "10.1.0.4 10.1.0.5"), nil},
		{"another", fleet("10.1.0.4 10.1.0.6", "10.1.0.4 10.1.0.5", "10.1.0.4 10.1.0.5"), []string{"1:3: the route servers are 10.1.0.4:8200, 10.1.0.6:8200, and in 2 and 1 more they are 10.1.0.4:8200, 10.1.0.5:8200"}},
		{"one less", fleet("10.1.0.4 10.1.0.5", "10.1.0.4"), []string{"2:1: the route servers are 10.1.0.4:8200, and in 1 they are"}},
		{"one more", fleet("10.1.0.4", "10.1.0.4 10.1.0.5"), []string{"2:3: the route servers are"}},
		{"another order", fleet("10.1.0.4 10.1.0.5", "10.1.0.5 10.1.0.4"), []string{"2:1: the route servers are 10.1.0.5:8200, 10.1.0.4:8200, and in 1 they are 10.1.0.4:8200, 10.1.0.5:8200: another order"}},
		{"a name is not what the others are compared with", fleet("hub-a 10.1.0.5", "10.1.0.4 10.1.0.5"), []string{`1:1: RouteServerIP1: "hub-a"`, "1:1: the route servers are hub-a:8200"}},
		{"a list that ends at a gap is not what the others are compared with", []*File{
			Read("1", []byte("RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP3=10.1.0.5\nRouteServerPort3=8200\n")), fleet("", "10.1.0.4 10.1.0.5")[1],
		}, []string{"1:3: RouteServerIP3 is not read", "1:1: the route servers are 10.1.0.4:8200, and in 2 they are 10.1.0.4:8200, 10.1.0.5:8200"}},
		{"names alone", fleet("hub-a", "hub-b"), []string{`1:1: RouteServerIP1: "hub-a"`, `2:1: RouteServerIP1: "hub-b"`, "2:1: the route servers are hub-b:8200"}},
		{"none", fleet("10.1.0.4", ""), []string{"2: names no route server"}},
	} {
		requireFindings(t, c.name, Check(c.files, nil), c.wants)
	}
	for _, f := range Check(fleet("10.1.0.4 10.1.0.5", "10.1.0.5 10.1.0.4"), nil) {
		if !f.Warning {
			t.Errorf("another order is a fault: %v", f)
		}
	}
}

func TestHub(t *testing.T) {
	at := func(addr string, port uint16) Listener {
		return Listener{Address: fmt.Sprintf("%s:%d", addr, port), Addr: netip.MustParseAddr(addr), Port: port}
	}
	tls := at("10.1.0.4", 8200)
	tls.TLS = true
	named := Listener{Address: "hub.example:8200", Port: 8200}
	for _, c := range []struct {
		name  string
		hub   Hub
		files []*File
		wants []string
	}{
		{"sound", Hub{Listeners: []Listener{at("10.1.0.4", 8200)}}, fleet("10.1.0.4 10.1.0.5", "10.1.0.4 10.1.0.5"), nil},
		{"every address", Hub{Listeners: []Listener{at("::", 8200)}}, fleet("10.1.0.4"), nil},
		{"a listener with a name", Hub{Listeners: []Listener{named}}, fleet("10.1.0.4"), nil},
		{"another port", Hub{Listeners: []Listener{at("10.1.0.4", 8300)}}, fleet("10.1.0.5 10.1.0.4"), []string{"1:3: RouteServerIP2: the hub of c.toml does not listen at 10.1.0.4:8200; connect to 10.1.0.4:8300"}},
		{"another machine", Hub{Listeners: []Listener{at("127.0.0.1", 8200)}}, fleet("10.1.0.4"), []string{"1: no route server is the hub of c.toml, which listens at 127.0.0.1:8200"}},
		{"TLS", Hub{Listeners: []Listener{tls}}, fleet("10.1.0.4"), []string{"1:1: RouteServerIP1: the listener 10.1.0.4:8200 of c.toml expects TLS"}},
		{"twice", Hub{Listeners: []Listener{at("10.1.0.4", 8200), at("10.1.0.5", 8200)}}, fleet("10.1.0.4 10.1.0.5"), []string{"1:3: RouteServerIP2 leads to the hub of c.toml, as one before it does"}},
		{"two hubs, each at every address", Hub{Listeners: []Listener{at("::", 8200)}}, fleet("10.1.0.4 10.1.0.5"), nil},
		{"two hubs, each with a name", Hub{Listeners: []Listener{named}}, fleet("10.1.0.4 10.1.0.5"), nil},
		{"cluster", Hub{Cluster: true, Listeners: []Listener{at("10.1.0.4", 8200)}}, fleet("10.1.0.4", "10.1.0.5", "10.1.0.9"), nil},
		{"two of a cluster with standby links", Hub{Cluster: true, Standby: true, Listeners: []Listener{at("10.1.0.4", 8200)}}, fleet("10.1.0.4 10.1.0.5", "10.1.0.5 10.1.0.4", "10.1.0.6"), nil},
		{"a hub of a cluster twice", Hub{Cluster: true, Standby: true, Listeners: []Listener{at("10.1.0.4", 8200), at("10.1.0.5", 8200)}}, fleet("10.1.0.4 10.1.0.5"), []string{"1:3: RouteServerIP2 leads to the hub of c.toml"}},
		{"two hubs of a cluster, each at every address", Hub{Cluster: true, Standby: true, Listeners: []Listener{at("::", 8200)}}, fleet("10.1.0.4 10.1.0.5"), nil},
		{"two of a cluster", Hub{Cluster: true, Listeners: []Listener{at("10.1.0.4", 8200)}}, fleet("10.1.0.4 10.1.0.5"), []string{"1:3: the hub of c.toml is one of a cluster"}},
	} {
		c.hub.Name = "c.toml"
		requireFindings(t, c.name, Check(c.files, &c.hub), c.wants)
	}
}

func TestInetAddr(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.4": "10.1.0.4", "10.1.4": "10.1.0.4", "10.260": "10.0.1.4", "1": "0.0.0.1", "0x7f.1": "127.0.0.1", "010.0.0.1": "8.0.0.1", "10.1.0.4\r": "10.1.0.4",
		"": "", "10.1.0.08": "", "10.1.0.256": "", "10.1.0.4.5": "", "1_0.1.0.4": "", "0b1.1.0.4": "", "10..4": "", "256.1": "", "4294967296": "", "-1": "",
	} {
		addr, ok := inetAddr(text)
		if ok != (want != "") || ok && addr.String() != want {
			t.Errorf("%q: got %v, %v, want %q", text, addr, ok, want)
		}
	}
}

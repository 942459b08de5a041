package msgserver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Hub is what the configuration of a hub says about connecting to it.
type Hub struct {
	Name      string // of the configuration, for messages
	Listeners []Listener
	Cluster   bool // it is one of the hubs that act as one
	Standby   bool // in a cluster: a msg_server may connect to several of its hubs
}

// A Listener is an address of the hub at which peers connect.
type Listener struct {
	Address string     // as it is configured
	Addr    netip.Addr // unspecified if it accepts at every address; invalid if it is a name
	Port    uint16
	TLS     bool
}

// Check returns what is wrong in the files of a fleet, in their order, the findings of each file by
// line. hub is nil if its configuration is not known.
func Check(files []*File, hub *Hub) []Finding {
	var all []Finding
	for _, f := range files {
		all = append(all, f.findings...)
	}
	if hub != nil {
		for _, f := range files {
			all = append(all, hub.check(f)...)
		}
	}
	// Hubs that act as one are one route server, so each file may name another one.
	if hub == nil || !hub.Cluster {
		all = append(all, compare(files)...)
	}
	place := make(map[string]int, len(files))
	for i, f := range files {
		place[f.Name] = i
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(place[a.File]-place[b.File], a.Line-b.Line)
	})
	return all
}

// compare finds the files whose route servers are not those of most files. The majority is taken to
// be right, as somebody who changes a fleet forgets one file rather than all but one.
func compare(files []*File) (found []Finding) {
	most, same := mostCommon(files)
	for _, f := range files {
		if len(f.Servers) == 0 || slices.Equal(f.list(), most.list()) {
			continue
		}
		like := most.Name
		if same > 1 {
			like = fmt.Sprintf("%s and %d more", most.Name, same-1)
		}
		finding := Finding{File: f.Name, Line: f.firstOther(most)}
		finding.Problem = fmt.Sprintf("the route servers are %s, and in %s they are %s", strings.Join(f.list(), ", "), like, strings.Join(most.list(), ", "))
		if slices.Equal(f.set(), most.set()) {
			finding.Warning = true
			finding.Problem += ": another order, so their msg_servers send through different ones"
			finding.Remedy = "write the same order everywhere, unless the route servers are to share the messages"
		} else {
			finding.Problem += "; msg_servers that do not have the same route servers do not receive everything from each other"
			finding.Remedy = "name the same ones everywhere, or if they are hubs of one cluster, name the configuration of one by --config"
		}
		found = append(found, finding)
	}
	return found
}

// mostCommon returns the first file whose list is the most common one, and how many have it. Lists
// that need to be corrected anyway count only if there are no others.
func mostCommon(files []*File) (most *File, same int) {
	unsound := func(f *File) bool {
		return len(f.Servers) == 0 || f.cut || slices.ContainsFunc(f.Servers, func(s Server) bool { return !s.sound() })
	}
	if slices.ContainsFunc(files, func(f *File) bool { return !unsound(f) }) {
		files = slices.DeleteFunc(slices.Clone(files), unsound)
	}
	counts := make(map[string]int)
	for _, f := range files {
		counts[strings.Join(f.list(), ",")]++
	}
	for _, f := range files {
		if n := counts[strings.Join(f.list(), ",")]; n > same && len(f.Servers) > 0 {
			most, same = f, n
		}
	}
	return most, same
}

// list returns the route servers as msg_server understands them, in its order.
func (f *File) list() (all []string) {
	for _, s := range f.Servers {
		if s.Addr.IsValid() {
			s.Host = s.Addr.String()
		}
		all = append(all, s.String())
	}
	return all
}

// List returns the route servers that msg_server connects to, in its order.
func (f *File) List() []string { return append([]string{}, f.list()...) }

// set returns the route servers without their order.
func (f *File) set() []string {
	all := f.list()
	slices.Sort(all)
	return all
}

// firstOther returns the line of the first route server that is another one in the other file, or
// of the last one if the other file has more.
func (f *File) firstOther(other *File) int {
	mine, others := f.list(), other.list()
	for i, s := range f.Servers {
		if i >= len(others) || mine[i] != others[i] {
			return s.Line
		}
	}
	return f.Servers[len(f.Servers)-1].Line
}

// check finds where a file does not fit the hub:
//
//	a cluster without standby links, and several addresses    users would count twice
//	an address of the hub's machine with another port         nothing listens there
//	two addresses of the same hub                             everything would come twice
//	a listener with TLS                                       msg_server has none
//	no address of the hub                                     this msg_server is not connected to it
//
// surely counts the addresses that are this hub's beyond doubt: a listener for all addresses may as
// well be meant by the address of another machine.
func (h *Hub) check(f *File) (found []Finding) {
	add := func(line int, problem, remedy string) {
		found = append(found, Finding{File: f.Name, Line: line, Problem: problem, Remedy: remedy})
	}
	if h.Cluster && !h.Standby && len(f.Servers) > 1 {
		add(f.Servers[1].Line, fmt.Sprintf("the hub of %s is one of a cluster, and a msg_server that connects to two of its hubs counts its users twice and receives everything twice", h.Name),
			"name one address, that of a balancer or of one hub, or set cluster.standby_links = true at all hubs")
	}
	// What leads to a listener for every address may be another hub, on another machine.
	leads, surely := 0, 0
	for i, s := range f.Servers {
		if !s.sound() {
			continue
		}
		l := h.listener(s)
		if l == nil {
			if near := h.at(s.Addr); near != "" {
				leads++
				surely++
				add(s.Line, fmt.Sprintf("RouteServerIP%d: the hub of %s does not listen at %s", i+1, h.Name, s), "connect to "+near)
			}
			continue
		}
		leads++
		if l.Addr.IsValid() && !l.Addr.IsUnspecified() {
			if surely++; surely > 1 && (!h.Cluster || h.Standby) {
				add(s.Line, fmt.Sprintf("RouteServerIP%d leads to the hub of %s, as one before it does", i+1, h.Name), "name each hub once")
			}
		}
		if l.TLS {
			add(s.Line, fmt.Sprintf("RouteServerIP%d: the listener %s of %s expects TLS, and a msg_server has none", i+1, l.Address, h.Name),
				"connect to a listener without TLS, or to a proxy beside the msg_server that adds it")
		}
	}
	if leads == 0 && !h.Cluster && len(f.Servers) > 0 && !slices.ContainsFunc(f.Servers, func(s Server) bool { return !s.sound() }) {
		add(0, fmt.Sprintf("no route server is the hub of %s, which listens at %s", h.Name, h.addresses(nil)), "add it, in every file")
	}
	return found
}

// listener returns the hub's listener at which that route server is, or nil.
func (h *Hub) listener(s Server) *Listener {
	for i, l := range h.Listeners {
		if l.Port == s.Port && (!l.Addr.IsValid() || l.Addr.IsUnspecified() || l.Addr.Unmap() == s.Addr) {
			return &h.Listeners[i]
		}
	}
	return nil
}

// at lists the addresses at which the hub listens on that very address, or nothing.
func (h *Hub) at(addr netip.Addr) string {
	return h.addresses(func(l Listener) bool { return l.Addr.Unmap() == addr })
}

// addresses lists the addresses of the listeners that are wanted; nil wants all.
func (h *Hub) addresses(want func(Listener) bool) string {
	var all []string
	for _, l := range h.Listeners {
		if want == nil || want(l) {
			all = append(all, l.Address)
		}
	}
	return strings.Join(all, ", ")
}

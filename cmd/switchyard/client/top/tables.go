package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The three tables of a report: tenants, commands and peers. Rows with an alarm are drawn in red: a
// sender that is paused by a quota or a full log, and its tenant.

// A section is one of the tables of a report. It may have only the first of its rows.
type section struct {
	name    string // the title of the first column
	columns []column
	rows    []row
	all     int // how many rows there are on the server
}

// first returns the lines of the section with at most that many rows.
func (s section) first(rows int) []string {
	shown := s.rows[:max(0, min(rows, len(s.rows)))]
	columns := slices.Clone(s.columns)
	columns[0].title = s.name
	if len(shown) < s.all {
		columns[0].title = fmt.Sprintf("%s (%d of %d)", s.name, len(shown), s.all)
	}
	return table(columns, shown)
}

// numbers returns columns of numbers, which are aligned right.
func numbers(titles ...string) (columns []column) {
	for _, t := range titles {
		columns = append(columns, column{title: t, number: true, least: 7})
	}
	return columns
}

// words returns columns of words, which are aligned left.
func words(titles ...string) (columns []column) {
	for _, t := range titles {
		columns = append(columns, column{title: t})
	}
	return columns
}

// sections makes the tables. The most important columns are on the left, as a narrow
// window cuts off the others.
func (s *Report) sections() []section {
	tenants := section{name: "TENANT", all: len(s.Tenants), columns: slices.Concat(words(""),
		numbers("PEERS", "LAG", "IN/S", "BYTES/S", "OUT/S", "BYTES/S", "LOST/S", "PAUSED", "USERS", "LOG"), words("POLICY", "SHA256"))}
	for _, t := range s.Tenants {
		r := t.Rates
		tenants.rows = append(tenants.rows, row{alarm: t.Paused > 0, cells: []string{t.Tenant, fmt.Sprint(t.Sessions), Bytes(float64(t.Lag)),
			Count(r.PDUsIn), Bytes(r.BytesIn), Count(r.PDUsOut), Bytes(r.BytesOut), Count(t.LostRate), fmt.Sprint(t.Paused),
			fmt.Sprint(t.Users), Bytes(float64(t.Log)), t.Policy.Name, beginning(t.Policy.SHA256)}})
	}
	commands := section{name: "COMMAND", all: len(s.Commands), columns: slices.Concat(words("", "TENANT"),
		numbers("IN/S", "BYTES/S", "PDUS"), words("ACTIONS"))}
	for _, c := range s.Commands {
		commands.rows = append(commands.rows, row{cells: []string{c.Command, c.Tenant, Count(c.Rate), Bytes(c.ByteRate), whole(c.PDUs), actions(c.Actions)}})
	}
	peers := section{name: "PEER", all: s.Sessions, columns: slices.Concat(words("", "TENANT"),
		numbers("SESSION", "LAG", "IN/S", "BYTES/S", "OUT/S", "BYTES/S", "USERS"), words("STATE", "GROUPS", "IDENTITY"))}
	for _, p := range s.Peers {
		r := p.Rates
		var state []string
		if p.Master {
			state = append(state, "master")
		}
		if p.Standby {
			state = append(state, "standby")
		}
		if p.Paused {
			state = append(state, "paused")
		}
		if p.OverLimit > 0 {
			state = append(state, "limited "+Count(p.OverLimit)+"/s")
		}
		peers.rows = append(peers.rows, row{alarm: p.Paused, cells: []string{p.Peer, p.Tenant, fmt.Sprint(p.Session), Bytes(float64(p.Lag)),
			Count(r.PDUsIn), Bytes(r.BytesIn), Count(r.PDUsOut), Bytes(r.BytesOut), fmt.Sprint(p.Users), strings.Join(state, " "), strings.Join(p.Groups, " "), strings.Join(p.Identities, " ")}})
	}
	return []section{tenants, commands, peers}
}

// beginning returns enough of a hash to distinguish policies.
func beginning(sha256 string) string { return sha256[:min(8, len(sha256))] }

// actions formats the counts of actions, the most frequent first: "broadcast-all 1.2k, drop 3".
func actions(counts map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if counts[name] > 0 {
			parts = append(parts, name+" "+whole(counts[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// summary is the whole server in one line.
func (s *Report) summary() string {
	parts := []string{"switchyard " + s.Server, "up " + since(s.Uptime), fmt.Sprintf("%d peers", s.Sessions),
		fmt.Sprintf("in %s/s %s/s", Count(s.Rates.PDUsIn), Bytes(s.Rates.BytesIn)),
		fmt.Sprintf("out %s/s %s/s", Count(s.Rates.PDUsOut), Bytes(s.Rates.BytesOut))}
	if s.Latency != nil {
		parts = append(parts, "p99 "+time.Duration(s.Latency.P99*float64(time.Second)).Round(10*time.Microsecond).String())
	}
	return strings.Join(parts, "   ")
}

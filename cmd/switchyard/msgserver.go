package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/msgserver"
	"switchyard/policy/sanitize"
	"switchyard/proxy/config"
)

// msgserverCommand is about the msg_servers that connect to a hub. Operators mistype their files far
// more often than the hub's, and a msg_server says nothing about it: package msgserver finds what it
// would do, and this file reads the files and prints the findings.
func msgserverCommand(o *options, stdout io.Writer) *cobra.Command {
	c := group(&cobra.Command{
		Use:   "msgserver",
		Short: "Check the configuration of the msg_servers that connect here",
	})
	c.AddCommand(msgserverCheck(o, stdout))
	return c
}

// msgserverCheck reads all files before it reports anything, because one of them is judged by what
// the others say.
func msgserverCheck(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Report what is wrong with the route servers in a fleet's msgserver.conf files, and exit 0 or 78",
		Long: "Report what is wrong with the route servers in a fleet's msgserver.conf files, and exit 0 or 78.\n\n" +
			"The files are read as msg_server reads them. Each must name the same route servers, by\n" +
			"address, with numbers that have no gap. Another order is a warning only. With --config the\n" +
			"files must also fit the hub of that configuration: its addresses, no TLS, and in a cluster one\n" +
			"address in each file, unless it has standby_links. No name is looked up and no connection\n" +
			"opened.",
		Example: "  switchyard msgserver check conf/*/msgserver.conf\n" +
			"  switchyard msgserver check --config /etc/switchyard/config.toml ms1.conf ms2.conf",
		Args: some("msgserver.conf file"),
		RunE: func(_ *cobra.Command, args []string) error {
			hub, err := o.hub()
			if err != nil {
				return err
			}
			fleet, err := readFleet(args)
			return errors.Join(err, reportFleet(stdout, fleet, hub, asJSON))
		},
	}
	jsonFlag(c, &asJSON, "print the route servers of each file, and the findings, as JSON")
	return c
}

// hub returns what the configuration says about connecting to it, or nil if the command line says
// nothing about a configuration: where msgserver.conf files are, there is mostly no hub.
func (o *options) hub() (*msgserver.Hub, error) {
	if o.config == "" && len(o.set) == 0 && o.listen == "" {
		return nil, nil
	}
	c, _, err := o.load()
	if err != nil {
		return nil, err
	}
	h := &msgserver.Hub{Name: cmp.Or(c.Path, "the command line"), Standby: c.Cluster.StandbyLinks, Cluster: c.Cluster.Name != "" && slices.ContainsFunc(c.Tenants, func(t config.Tenant) bool { return t.Cluster })}
	for _, l := range c.Listeners {
		host, port, _ := net.SplitHostPort(l.Name) // one spelling, with :: for all addresses
		addr, _ := netip.ParseAddr(host)
		number, _ := strconv.ParseUint(port, 10, 16)
		h.Listeners = append(h.Listeners, msgserver.Listener{Address: l.Address, Addr: addr, Port: uint16(number), TLS: l.TLS.Certificate != ""})
	}
	return h, nil
}

// mostOfFile is how long a msgserver.conf may be, in bytes; the original's has 1 KiB.
const mostOfFile = 1 << 20

// readFleet reads the files that can be read, each once.
func readFleet(names []string) (fleet []*msgserver.File, faults error) {
	// A file that is named twice, as by a pattern and by its name, counts once.
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		text, err := readSome(name)
		if err != nil {
			faults = errors.Join(faults, refusedError{err})
			continue
		}
		fleet = append(fleet, msgserver.Read(name, text))
	}
	return fleet, faults
}

// readSome reads a file, which is probably another one if it is very long.
func readSome(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostOfFile+1))
	if err == nil && len(text) > mostOfFile {
		err = fmt.Errorf("%s has more than %d bytes, so it is not a msgserver.conf", name, mostOfFile)
	}
	return text, err
}

// A fleetReport is what --json prints. Its names do not change. The findings are all of them; without
// --json the faults go to standard error.
type fleetReport struct {
	Files    []fleetFile         `json:"files"`
	Findings []msgserver.Finding `json:"findings"`
}

// A fleetFile has the route servers to which a msg_server with that file connects, in its order.
type fleetFile struct {
	File         string   `json:"file"`
	RouteServers []string `json:"route_servers"`
}

// reportFleet prints the route servers of each file and the warnings, and returns the faults, so that
// they go to standard error and set the exit code, 78.
func reportFleet(stdout io.Writer, fleet []*msgserver.File, hub *msgserver.Hub, asJSON bool) error {
	report := fleetReport{Files: []fleetFile{}, Findings: append([]msgserver.Finding{}, msgserver.Check(fleet, hub)...)}
	for _, f := range fleet {
		report.Files = append(report.Files, fleetFile{f.Name, f.List()})
	}
	if asJSON {
		if err := printJSON(stdout, report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Files {
			fmt.Fprintf(stdout, "%s: %s\n", sanitize.Text(f.File), sanitize.Text(cmp.Or(strings.Join(f.RouteServers, ", "), "none")))
		}
	}
	var faults []error
	for _, f := range report.Findings {
		switch {
		case !f.Warning:
			faults = append(faults, refusedError{errors.New(sanitize.Text(f.String()))})
		case !asJSON:
			fmt.Fprintf(stdout, "warning: %s\n", sanitize.Text(f.String()))
		}
	}
	return errors.Join(faults...)
}

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/devcert"
)

// certCommand is the command for trying mutual TLS. Package devcert makes the certificates; this file
// checks the command line, and prints a configuration that uses them.
func certCommand(stdout, stderr io.Writer) *cobra.Command {
	c := group(&cobra.Command{
		Use:   "cert",
		Short: "Make certificates for trying mutual TLS",
	})
	c.AddCommand(certDev(stdout, stderr))
	return c
}

// mostValid is the longest that certificates may be valid, as they are for trying.
const mostValid = 90 * 24 * time.Hour

// certDev makes the files. What it prints to standard output is TOML that can be appended to a
// configuration; everything for people goes to stderr.
func certDev(stdout, stderr io.Writer) *cobra.Command {
	var r devcert.Request
	var asJSON bool
	c := &cobra.Command{
		Use:   "dev [FOLDER]",
		Short: "Make a CA, and certificates of a hub and its clients, for trying mutual TLS",
		Long: "Make a CA, and certificates of a hub and its clients, for trying mutual TLS.\n\n" +
			"The folder (default dev-certs) must be new or empty. It gets ca.pem, and a certificate and a\n" +
			"key for the hub and for each client, which only their owner can read. A client NAME has the\n" +
			"DNS name NAME." + devcert.Domain + ". The configuration for it goes to stdout.\n\n" +
			"The CA vouches for these names and hosts only, and its key is not kept: for other\n" +
			"certificates, make another folder. In production, use a CA of your own.",
		Example: "  switchyard cert dev --client ms1 --client ms2 certs >>config.toml",
		Args:    optional("FOLDER"),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := "dev-certs"
			if len(args) > 0 {
				folder = args[0]
			}
			if err := checkRequest(folder, r); err != nil {
				return usageError{err}
			}
			// Everything is made before anything is written, and the folder gets its name last.
			now := time.Now()
			files, err := devcert.Make(r, now)
			if err != nil {
				return err
			}
			if err := devcert.Write(folder, files); err != nil {
				return fmt.Errorf("write certificates: %w", err)
			}
			if asJSON {
				var text strings.Builder
				printTLS(&text, folder, r)
				return printJSON(stdout, madeCertificates{folder, names(files), now.Add(r.Valid).UTC().Truncate(time.Second), text.String()})
			}
			fmt.Fprintf(stderr, "made %s in %s/, good until %s\n", strings.Join(names(files), ", "), folder, now.Add(r.Valid).Format(time.RFC3339))
			return printTLS(stdout, folder, r)
		},
	}
	c.Flags().StringArrayVar(&r.Hosts, "host", []string{"localhost", "127.0.0.1", "::1"}, "`name` or address at which clients connect to the hub; may be repeated")
	c.Flags().StringArrayVar(&r.Clients, "client", []string{"ms1", "ms2", "admin"}, "`name` of a client; may be repeated")
	c.Flags().DurationVar(&r.Valid, "valid", 7*24*time.Hour, "how long the certificates are valid, 2160h at most")
	jsonFlag(c, &asJSON, "print JSON: the files, and the configuration")
	return c
}

// madeCertificates are what cert dev prints as JSON. Its names do not change. Keys are files among
// the others, and are not printed.
type madeCertificates struct {
	Folder        string    `json:"folder"`
	Files         []string  `json:"files"` // in the folder
	Until         time.Time `json:"until"` // when the certificates expire
	Configuration string    `json:"configuration"`
}

var (
	clientName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`) // of 40 characters at most
	hostName   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)
)

// checkRequest refuses what would not work as a part of a configuration or as a name of a file: quotes
// and backslashes would end a text of TOML, and a client named hub or ca would overwrite the files of
// those. Certificates for trying must expire soon, because nothing renews or revokes them.
func checkRequest(folder string, r devcert.Request) error {
	if strings.ContainsFunc(folder, func(r rune) bool { return r < ' ' || strings.ContainsRune(`"\'`, r) }) || folder == "" {
		return fmt.Errorf("%q cannot be the folder, as the configuration is to name it; use another name", folder)
	}
	if filepath.Clean(folder) == "." {
		return fmt.Errorf("%q is the working directory, which cannot be replaced; name a new folder in it", folder)
	}
	for i, name := range r.Clients {
		switch {
		case len(name) > 40 || !clientName.MatchString(name):
			return fmt.Errorf("--client %q: a name is 1 to 40 characters of a-z, 0-9 and -, without - at its ends", name)
		case name == devcert.Hub || name == "ca":
			return fmt.Errorf("--client %s: the files of that name are those of the hub or the CA; use another name", name)
		case slices.Contains(r.Clients[:i], name):
			return fmt.Errorf("--client %s is given twice; name each client once", name)
		}
	}
	for _, host := range r.Hosts {
		if addr, err := netip.ParseAddr(host); (err != nil || addr.Zone() != "") && !hostName.MatchString(host) {
			return fmt.Errorf("--host %q is not a host; write a name such as hub.example, or an address such as 10.1.0.5", host)
		}
	}
	if r.Valid < time.Minute || r.Valid > mostValid {
		return fmt.Errorf("--valid %v: write 1m to 2160h, as these certificates are for trying", r.Valid)
	}
	return nil
}

// names returns the names of the files, for the output.
func names(files []devcert.File) (all []string) {
	for _, f := range files {
		all = append(all, f.Name)
	}
	return all
}

// printTLS prints the configuration of a listener, with comments that say how to try it. The hub
// listens on the loopback, unless one of its names can be reached from other machines.
func printTLS(w io.Writer, folder string, r devcert.Request) error {
	file := func(name string) string { return filepath.ToSlash(filepath.Join(folder, name)) }
	listen, host := "127.0.0.1", "127.0.0.1"
	if remote := slices.IndexFunc(r.Hosts, fromElsewhere); remote >= 0 {
		listen, host = "0.0.0.0", r.Hosts[remote]
	}
	client := r.Clients[0]
	word := func(name string) string { return shellWord(file(name)) }
	_, err := fmt.Fprintf(w, `[[listener]]
address = "%[1]s:8243"
tls.certificate = "%[3]s"
tls.key = "%[4]s"
tls.client_ca = "%[5]s"

# Serve with it, connect as %[2]s, and look for its name in 'switchyard top --once':
#   openssl s_client -connect %[6]s -CAfile %[7]s -verify_return_error -brief \
#       -cert %[8]s -key %[9]s
# Without -cert and -key the hub refuses the connection as tls-no-certificate.
`, listen, client, file("hub.pem"), file("hub.key"), file("ca.pem"), net.JoinHostPort(host, "8243"), word("ca.pem"), word(client+".pem"), word(client+".key"))
	return err
}

// fromElsewhere reports whether other machines may use that host to connect here: any name but
// localhost, and any address but the loopback's.
func fromElsewhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && !addr.IsLoopback() || err != nil && host != "localhost"
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/client/top"
	"switchyard/proxy/admin/api"
)

// peerSorts are the orders of peers, as /api/v1/connections takes them. The server sorts, as --limit
// leaves out the last ones.
var peerSorts = []string{"id", "rate", "lag"}

// peersCommand lists the peers of the server, and holds what can be done to them. Unlike other groups
// it does something itself, so words behind it are checked as names of commands.
func peersCommand(o *options, stdout io.Writer) *cobra.Command {
	var tenants []string
	var sort string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "peers",
		Short: "List the peers of the running Switchyard, or close one",
		Long: "List the peers of the running Switchyard: their session numbers, addresses, users, rates, lags,\n" +
			"groups, and the names in their certificates.",
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case !slices.Contains(peerSorts, sort):
				return usageError{fmt.Errorf("--sort %s: write id, rate or lag", sort)}
			case limit < 1 || limit > 10_000:
				return usageError{fmt.Errorf("--limit %d: write a number from 1 to 10000", limit)}
			}
			all, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.Connections, error) {
				return conn.Connections(ctx, tenants, sort, limit)
			})
			if err != nil {
				return err
			}
			return show(stdout, asJSON, all, printPeers)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&tenants, "tenant", nil, "`NAME` of a tenant; may be repeated (default all)")
	f.StringVar(&sort, "sort", "id", "`order` of the rows: id, rate or lag")
	f.IntVar(&limit, "limit", 100, "print at most this `NUMBER` of peers, up to 10000")
	o.serverFlags(c, false)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/connections answers")
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	c.RegisterFlagCompletionFunc("sort", words(peerSorts...))
	c.AddCommand(peersClose(o, stdout))
	return c
}

// printPeers prints a row for each peer. Sizes and rates are rounded as in top; --json has them
// exactly:
//
//	TENANT   SESSION  PEER             USERS  IN/S  OUT/S  LAG  SINCE                 STATE   …
//	default  4        192.0.2.7:51900  120    250   7750   0B   2026-11-30T08:00:12Z  master  …
func printPeers(w io.Writer, all *api.Connections) error {
	rows := [][]string{{"TENANT", "SESSION", "PEER", "USERS", "IN/S", "OUT/S", "LAG", "SINCE", "STATE", "GROUPS", "IDENTITY"}}
	for _, p := range all.Connections {
		rows = append(rows, []string{p.Tenant, fmt.Sprint(p.Session), p.Peer, fmt.Sprint(p.Users), top.Count(p.Rates.PDUsIn), top.Count(p.Rates.PDUsOut),
			top.Bytes(float64(p.Lag)), p.Since.UTC().Format(time.RFC3339), cmp.Or(stateOfPeer(p), "-"), cmp.Or(strings.Join(p.Groups, ","), "-"), strings.Join(p.Identities, " ")})
	}
	if err := columns(w, rows); err != nil {
		return err
	}
	if left := all.Total - len(all.Connections); left > 0 {
		fmt.Fprintf(w, "%d more; --limit prints them\n", left)
	}
	return nil
}

// stateOfPeer says what is special about a peer: it has declared itself master, it is a standby link
// of a cluster, or a quota or a full log has paused it.
func stateOfPeer(p api.Connection) string {
	var all []string
	for _, s := range []struct {
		is   bool
		word string
	}{{p.Master, "master"}, {p.Standby, "standby"}, {p.Paused, "paused"}} {
		if s.is {
			all = append(all, s.word)
		}
	}
	return strings.Join(all, ",")
}

// A closedPeers is what peers close prints as JSON. Its names do not change.
type closedPeers struct {
	Closed []*api.Closed `json:"closed"`
}

// peersClose closes the connections of peers. If one cannot be closed, those before it are: the
// output lists them, and the error is about the first that is not.
func peersClose(o *options, stdout io.Writer) *cobra.Command {
	var request api.CloseRequest
	var asJSON bool
	c := &cobra.Command{
		Use:   "close SESSION...",
		Short: "Close the connections of peers, by their session numbers",
		Long: "Close the connections of peers, by the session numbers that 'switchyard peers' prints. What a\n" +
			"peer has sent is handled, and what is due to it is written, for up to 5 s. This command does not\n" +
			"wait for that. msg_servers connect again by themselves; to keep one out, see the listener's allow.",
		Args:              some("SESSION"),
		ValidArgsFunction: o.completePeers,
		RunE: func(c *cobra.Command, args []string) error {
			sessions, err := numbers("SESSION", args, math.MaxUint64)
			if err != nil {
				return err
			}
			all, fault := ask(o, c, closeError, func(ctx context.Context, conn *client.Client) (closedPeers, error) {
				return closePeers(ctx, conn, request, sessions)
			})
			// Of several, some may have been closed before the fault.
			if fault != nil && len(all.Closed) == 0 {
				return fault
			}
			return cmp.Or(fault, show(stdout, asJSON, all, printClosed))
		},
	}
	c.Flags().StringVar(&request.Tenant, "tenant", "", "`NAME` of the tenant (default the only one)")
	c.Flags().StringVar(&request.Reason, "reason", "", "`TEXT` for the server's log")
	o.serverFlags(c, true)
	jsonFlag(c, &asJSON, "print JSON")
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	return c
}

// closePeers closes one session after the other, up to the first that cannot be closed.
func closePeers(ctx context.Context, conn *client.Client, request api.CloseRequest, sessions []uint64) (all closedPeers, err error) {
	for _, request.Session = range sessions {
		closed, err := conn.CloseConnection(ctx, request)
		if err != nil {
			return all, err
		}
		all.Closed = append(all.Closed, closed)
	}
	return all, nil
}

// printClosed prints a line for each peer.
func printClosed(w io.Writer, all closedPeers) error {
	var rows [][]string
	for _, p := range all.Closed {
		rows = append(rows, []string{fmt.Sprintf("closed session %d of tenant %s, %s", p.Session, p.Tenant, p.Peer)})
	}
	return columns(w, rows)
}

// closeError returns the error of a session that was not closed. That it has ended meanwhile is no
// fault of the command line, so its exit code is 1.
func closeError(err error) error { return stateError(err, http.StatusNotFound, http.StatusConflict) }

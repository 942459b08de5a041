package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/client/top"
	"switchyard/proxy/admin/api"
)

// tenants and audit are two views of one answer of the server, /api/v1/tenants.

// tenantsCommand prints the tenants of the server.
func tenantsCommand(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "tenants",
		Short: "List the tenants of the running Switchyard, with their peers, rates and policies",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := ask(o, c, serverError, allTenants)
			if err != nil {
				return err
			}
			return show(stdout, asJSON, all, printTenants)
		},
	}
	o.serverFlags(c, false)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/tenants answers")
	return c
}

// allTenants is a request for ask, of tenants and of audit.
func allTenants(ctx context.Context, conn *client.Client) (*api.Tenants, error) {
	return conn.Tenants(ctx)
}

// printTenants prints a row for each tenant. LAG is the largest of its peers. LOST are the PDUs that
// were dropped although the policy did not say so, and REFUSED is why the policy's file is not in
// force.
func printTenants(w io.Writer, all *api.Tenants) error {
	rows := [][]string{{"TENANT", "PEERS", "USERS", "IN/S", "OUT/S", "LAG", "RECEIVED", "DROPPED", "LOST", "POLICY", "SHA256", "REFUSED"}}
	for _, t := range all.Tenants {
		var dropped uint64
		for _, n := range t.Dropped {
			dropped += n
		}
		rows = append(rows, []string{t.Tenant, fmt.Sprint(t.Sessions), fmt.Sprint(t.Users), top.Count(t.Rates.PDUsIn), top.Count(t.Rates.PDUsOut), top.Bytes(float64(t.Lag)),
			fmt.Sprint(t.Received), fmt.Sprint(dropped), fmt.Sprint(t.Lost), t.Policy.Name, t.Policy.SHA256[:min(8, len(t.Policy.SHA256))], t.PolicyError})
	}
	return columns(w, rows)
}

// audits are what audit prints as JSON. Its names do not change.
type audits struct {
	Tenants []tenantAudit `json:"tenants"`
}

// A tenantAudit is what is known of the audit of a tenant.
type tenantAudit struct {
	Tenant string     `json:"tenant"`
	Policy api.Policy `json:"policy"` // in force
	Audit  *api.Audit `json:"audit"`  // nil if none is audited
	Error  string     `json:"error"`  // why the policy to audit is refused
}

// auditCommand prints what audited policies would have done.
func auditCommand(o *options, stdout io.Writer) *cobra.Command {
	var tenants []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Print what the audited policies of the running Switchyard would have done",
		Long: "Print what the policies of the keys tenant.NAME.audit would have done with the traffic so far, by\n" +
			"command. SENT are copies that the policy in force sent, AUDIT those that the audited policy would\n" +
			"have sent, USELESS those that only the policy in force sent, and MISSED those that only the\n" +
			"audited policy would have sent.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := ask(o, c, serverError, allTenants)
			if err != nil {
				return err
			}
			some, err := auditsOf(all, tenants)
			if err != nil {
				return err
			}
			return show(stdout, asJSON, some, printAudits)
		},
	}
	c.Flags().StringArrayVar(&tenants, "tenant", nil, "`NAME` of a tenant; may be repeated (default all)")
	o.serverFlags(c, false)
	jsonFlag(c, &asJSON, "print JSON")
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	return c
}

// auditsOf returns the audits of the named tenants, or of all. The server has no such filter, so a
// name that it does not know is noticed here.
func auditsOf(all *api.Tenants, names []string) (audits, error) {
	some := audits{Tenants: []tenantAudit{}}
	var known []string
	for _, t := range all.Tenants {
		if known = append(known, t.Tenant); len(names) == 0 || slices.Contains(names, t.Tenant) {
			some.Tenants = append(some.Tenants, tenantAudit{t.Tenant, t.Policy, t.Audit, t.AuditError})
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return some, usageError{fmt.Errorf("unknown tenant %q; known tenants: %v", name, known)}
		}
	}
	return some, nil
}

// printAudits prints a row for each command of each tenant. A tenant without an audit has one row
// that says why.
func printAudits(w io.Writer, all audits) error {
	rows := [][]string{{"TENANT", "AUDITED", "COMMAND", "PDUS", "SENT", "AUDIT", "USELESS", "MISSED", "FAULTS"}}
	for _, t := range all.Tenants {
		if t.Audit == nil {
			rows = append(rows, []string{t.Tenant, cmp.Or(t.Error, "none; set tenant."+t.Tenant+".audit")})
			continue
		}
		for _, r := range t.Audit.Rows {
			rows = append(rows, []string{t.Tenant, shortSHA256(t.Audit.Policy), r.Command, fmt.Sprint(r.PDUs), fmt.Sprint(r.Sent.PDUs), fmt.Sprint(r.Audited.PDUs),
				fmt.Sprint(r.Useless.PDUs), fmt.Sprint(r.Missed.PDUs), fmt.Sprint(r.Faults)})
		}
		if len(t.Audit.Rows) == 0 {
			rows = append(rows, []string{t.Tenant, shortSHA256(t.Audit.Policy), "no PDU so far"})
		}
	}
	return columns(w, rows)
}

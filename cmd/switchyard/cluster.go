package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
)

// clusterCommand is about the hubs that act as one. Its status is for people, and its exit code for
// scripts that restart one hub after the other: 0 only if this hub is together with the others.
func clusterCommand(o *options, stdout io.Writer) *cobra.Command {
	c := group(&cobra.Command{
		Use:   "cluster",
		Short: "Show the state of the running Switchyard in its cluster",
	})
	c.AddCommand(clusterStatus(o, stdout))
	return c
}

func clusterStatus(o *options, stdout io.Writer) *cobra.Command {
	r := &releaseClient{options: o}
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Print state, position and members of each tenant, and exit 0 if it is together with them",
		Long: "Print state, position and members of each tenant that several hubs serve as one.\n\n" +
			"The exit code is 0 if this hub is together with the others for all tenants, and otherwise 1.\n" +
			"POLICIES has the first digits of each policy's identity, as 'switchyard policy status --json'\n" +
			"prints it. A hub with a release under way has two policies.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.Cluster, error) {
				return conn.Cluster(ctx, r.tenants())
			})
			if err != nil {
				return err
			}
			return cmp.Or(show(stdout, asJSON, all, printCluster), togetherError(all))
		},
	}
	r.flags(c, false)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/cluster answers")
	return c
}

// printCluster prints a row for each tenant, and then one for each of its members:
//
//	TENANT   STATE     HUB  POSITION  UNDERWAY            TABLE
//	default  together  1    4711      0 records, 0 bytes  9c4e1f0d35a2b768
//
//	TENANT   MEMBER  NAME   NEXT  POLICIES
//	default  1       north  812   1fbdb280c3a94e17  this hub
//	default  2       south  377   1fbdb280c3a94e17
//
// Members whose TABLE is the same at the same POSITION have the same user table.
func printCluster(w io.Writer, all *api.Cluster) error {
	if len(all.Tenants) == 0 {
		return nil
	}
	rows := [][]string{{"TENANT", "STATE", "HUB", "POSITION", "UNDERWAY", "TABLE"}}
	for _, t := range all.Tenants {
		underway := quantity(uint64(t.UnderwayRecords), "record") + ", " + quantity(uint64(t.UnderwayBytes), "byte")
		if t.UnderwayRecords > 0 {
			underway += ", for " + seconds(t.UnderwaySeconds).Round(time.Millisecond).String()
		}
		rows = append(rows, []string{t.Tenant, t.State, fmt.Sprint(t.Hub), fmt.Sprint(t.Position.Sequence), underway, t.TableSum})
	}
	if err := columns(w, rows); err != nil {
		return err
	}
	rows = [][]string{{"TENANT", "MEMBER", "NAME", "NEXT", "POLICIES", ""}}
	for _, t := range all.Tenants {
		for _, m := range t.Members {
			rows = append(rows, []string{t.Tenant, fmt.Sprint(m.Hub), m.Name, fmt.Sprint(m.Next), strings.Join(m.Policies, " "), noteOn(m, t.Hub)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	io.WriteString(w, "\n")
	return columns(w, rows)
}

// noteOn says what is special about a member, as the hub with that number sees it.
func noteOn(m api.ClusterMember, hub uint16) string {
	switch {
	case m.Hub == hub:
		return "this hub"
	case !m.Ready:
		return "entering"
	}
	return ""
}

// togetherError returns an error unless the hub is together with the others for all tenants. A server
// without a cluster is an error, too: a script that waits for it was given the wrong server.
func togetherError(all *api.Cluster) error {
	if len(all.Tenants) == 0 {
		return errors.New("this server is in no cluster: cluster.name is empty, or cluster = false for its tenants")
	}
	var not []string
	for _, t := range all.Tenants {
		if t.State != "together" {
			not = append(not, fmt.Sprintf("tenant %s is %s", t.Tenant, t.State))
		}
	}
	if len(not) > 0 {
		return errors.New(strings.Join(not, ", "))
	}
	return nil
}

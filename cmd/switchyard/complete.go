package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/contexts"
	"switchyard/pdu"
	"switchyard/plugins/source"
	"switchyard/proxy/config"
)

// Completion of values by cobra, in every shell. The shell waits for the answer, so a server has
// completionTime for it. If a value cannot be found out, nothing is suggested, because a shell shows
// no error.

// completionTime is how long a server may take to answer for a completion.
const completionTime = 2 * time.Second

// A completion suggests words that may be at the end of the command line.
type completion = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// firstArgument completes the first argument, and no other.
func firstArgument(words completion) completion {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(c, args, begun)
	}
}

// words suggests fixed words.
func words(all ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeContexts suggests the names of contexts, with their servers.
func (o *options) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all := []string{contexts.Local + "\tthe server of the configuration"}
	if file, err := o.contexts(); err == nil {
		for _, name := range file.Names() {
			all = append(all, name+"\t"+file.Context[name].Server)
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeCommands suggests the commands that are known, as the last of a list with commas.
func (o *options) completeCommands(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	before := begun[:strings.LastIndex(begun, ",")+1]
	var all []string
	_ = o.useCommands() // a completion has nowhere to report a fault
	for _, c := range pdu.KnownCommands() {
		all = append(all, before+c.Name)
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeSet suggests the keys of the configuration, each with its present value. A configuration
// that cannot be read has the default ones.
func (o *options) completeSet(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	if strings.Contains(begun, "=") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	saved := o.set
	o.set = nil // has what is being completed
	c, _, err := o.load()
	if o.set = saved; err != nil {
		c = config.Default()
	}
	var all []string
	for _, k := range c.Values() {
		all = append(all, k.Name+"=\t"+k.Value)
	}
	return all, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// completePolicies suggests shipped policies; the shell adds files.
func completePolicies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return source.Shipped(), cobra.ShellCompDirectiveDefault
}

// completeTenants suggests the tenants of the server, else of the configuration: the server may be on
// another machine, or not run.
func (o *options) completeTenants(c *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	o.askToComplete(func(ctx context.Context, conn *client.Client) {
		if all, err := conn.Tenants(ctx); err == nil {
			for _, t := range all.Tenants {
				names = append(names, t.Tenant+"\t"+t.Policy.Name)
			}
		}
	})
	if len(names) == 0 {
		if config, _, err := o.load(); err == nil {
			for _, t := range config.Tenants {
				names = append(names, t.Name+"\t"+t.Policy)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completePeers suggests the sessions of the server, with the addresses of their peers, but for those
// that are on the command line already.
func (o *options) completePeers(c *cobra.Command, args []string, _ string) (sessions []string, _ cobra.ShellCompDirective) {
	tenants, err := c.Flags().GetStringArray("tenant") // of some commands; of others it is one name
	if one, _ := c.Flags().GetString("tenant"); err != nil && one != "" {
		tenants = []string{one}
	}
	o.askToComplete(func(ctx context.Context, conn *client.Client) {
		all, err := conn.Connections(ctx, tenants, "id", 1000)
		if err != nil {
			return
		}
		for _, p := range all.Connections {
			if number := strconv.FormatUint(p.Session, 10); !slices.Contains(args, number) {
				sessions = append(sessions, number+"\t"+p.Peer+" of tenant "+p.Tenant)
			}
		}
	})
	return sessions, cobra.ShellCompDirectiveNoFileComp
}

// completeEarlier suggests the policies that a rollback can go back to.
func (o *options) completeEarlier(c *cobra.Command, _ []string, _ string) (sums []string, _ cobra.ShellCompDirective) {
	o.askToComplete(func(ctx context.Context, conn *client.Client) {
		all, err := conn.Releases(ctx, nil)
		if err != nil {
			return
		}
		for _, r := range all.Releases {
			for _, p := range r.Previous {
				sums = append(sums, p.SHA256[:min(8, len(p.SHA256))]+"\t"+p.Name+" of tenant "+r.Tenant)
			}
		}
	})
	return sums, cobra.ShellCompDirectiveNoFileComp
}

// askToComplete asks the server for a completion, for which the right to read suffices.
func (o *options) askToComplete(ask func(context.Context, *client.Client)) {
	conn, err := o.connect()
	if err != nil {
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	ask(ctx, conn)
}

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/proxy/config"
)

// options are what flags and environment say about the configuration. All commands share one, as the
// flags are persistent: they may be before or after the name of a command. Values are set when
// cobra has parsed the command line, and read after that.
type options struct {
	env    []string
	config string
	set    []string
	listen string
	policy string
	chosen serverChoice // the server to ask
}

// load finds and reads the configuration, and says why it is that one. A server calls it for each
// reload, so it keeps nothing of the last one. --listen and --policy are short for --set of a key
// that depends on the configuration: to find the first listener's tenant, it is read twice.
//
//	switchyard --policy file:routes.toml    --set tenant.default.policy=file:/here/routes.toml
//	switchyard --listen 127.0.0.1:8300      --set listener.0.address=127.0.0.1:8300
//
// The error is a usageError about a flag, or config.Faults.
func (o *options) load() (c *config.Config, why string, err error) {
	path, why := config.Find(o.config, o.env)
	overrides := make(map[string]string)
	for _, entry := range o.set {
		key, value, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, why, usageError{fmt.Errorf("--set %s has no value; write KEY=VALUE, as in --set peer.timeout=40s", entry)}
		}
		overrides[key] = value
	}
	if o.listen != "" {
		overrides["listener.0.address"] = o.listen
	}
	if o.policy != "" {
		c, err := config.Load(path, o.env, overrides)
		if err != nil {
			return nil, why, err
		}
		first := c.Listeners[0]
		if first.Tenant == "" {
			return nil, why, usageError{fmt.Errorf("--policy is for the tenant of the first listener, and that at %s has several; write --set tenant.%s.policy=%s, or another tenant's", first.Address, first.Tenants[0], o.policy)}
		}
		overrides["tenant."+first.Tenant+".policy"] = fromHere(o.policy)
	}
	c, err = config.Load(path, o.env, overrides)
	return c, why, err
}

// useCommands makes the custom commands of the configuration known, for commands that need nothing else of
// it. A configuration that cannot be read has none.
func (o *options) useCommands() error {
	path, _ := config.Find(o.config, o.env)
	set, err := config.CustomCommands(path)
	if err != nil {
		return err
	}
	set.Use()
	return nil
}

// named makes a command, and those below it, know the custom commands of the configuration before they
// run: their names are then known wherever commands are parsed or printed.
func (o *options) named(c *cobra.Command) *cobra.Command {
	c.PersistentPreRunE = func(*cobra.Command, []string) error { return o.useCommands() }
	return c
}

// fromHere makes the path of a policy named on the command line start at the working
// directory; in the configuration it would start at that file's.
func fromHere(policy string) string {
	if path, ok := strings.CutPrefix(policy, "file:"); ok && path != "" {
		if abs, err := filepath.Abs(path); err == nil {
			return "file:" + abs
		}
	}
	return policy
}

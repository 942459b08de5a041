package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard/cmd/switchyard/trust"
	"switchyard/pdu"
	"switchyard/plugins/source"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// A candidate is a policy before it is loaded: the content of its file, with everything that decides
// how it is loaded and what it may do. Two candidates that are the same need no second load. It is
// kept beside the loaded policy, as the record of what is in force.
type candidate struct {
	source.Module
	proof   trust.Proof
	config  []byte          // JSON, or nil
	effects *policy.Effects // what it may do
	may     string          // effects as the configuration writes them, to compare
	groups  []string        // that it may name
	kept    string          // the address that was not reached, for which the history has it; "" if none
	drift   string          // why it is not the policy that belongs in force; "" if it is
}

// same reports whether both would load as the same policy from the same file.
func (c candidate) same(d candidate) bool {
	return c.Name == d.Name && c.FileSHA256 == d.FileSHA256 && c.SHA256 == d.SHA256 && string(c.config) == string(d.config) && c.may == d.may
}

// sums returns the log's attributes for the sums of a policy: of its file, as sha256sum and
// policy_sha256 know it, and of the module that was compiled from it, if that is another.
func (c candidate) sums() []any {
	if c.FileSHA256 == c.SHA256 {
		return []any{"sha256", c.SHA256}
	}
	return []any{"sha256", c.FileSHA256, "module_sha256", c.SHA256}
}

// identity is what clients of the admin interface see of a policy.
func (c candidate) identity() api.Policy {
	return api.Policy{Name: c.Name, SHA256: c.FileSHA256, ModuleSHA256: c.SHA256}
}

// findPolicy finds a tenant's policy. The error is a *wasm.GateError or an InvalidError.
func findPolicy(checker *trust.Checker, t config.Tenant) (candidate, error) {
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.config = t.PolicyConfig
	c.Module, c.proof, err = checker.Policy(t)
	return c, err
}

// findAudit finds the policy that is audited for a tenant; it has no name if none is. The
// tenant's may settings apply to it, too.
func findAudit(checker *trust.Checker, t config.Tenant) (candidate, error) {
	if t.Audit == "" {
		return candidate{}, nil
	}
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.Module, c.proof, err = checker.Audit(t)
	return c, err
}

// limited returns a candidate with nothing but the tenant's may settings. They belong to the
// candidate, and not to the tenant, so that verdict limits and policy are exchanged together.
func limited(t config.Tenant) (candidate, error) {
	effects, err := policy.ParseEffects(t.May, t.MayCommands, t.MayElse)
	if err != nil {
		return candidate{}, InvalidError{err}
	}
	return candidate{effects: effects, may: fmt.Sprintf("%q %v %q", t.May, rangesOf(t.MayCommands), t.MayElse), groups: t.GroupNames()}, nil
}

// rangesOf returns commands by their ids. A reload can give the same name another id.
func rangesOf(words []string) (ranges []command.Range) {
	for _, word := range words {
		r, _ := command.Parse(word) // ParseEffects has checked it
		ranges = append(ranges, r)
	}
	return ranges
}

// loadPolicy takes the policy through all gates and makes it a generation.
func loadPolicy(ctx context.Context, e *wasm.Engine, c candidate) (*policy.Generation, error) {
	p, err := c.Module.Load(wasm.WithGroups(ctx, c.groups), e, c.config)
	if err != nil {
		return nil, err
	}
	g := policy.NewLimitedGeneration(c.Name, c.SHA256, p, c.effects)
	g.Config, g.FileSHA256, g.Origin = c.config, c.FileSHA256, c.Rule
	return g, nil
}

// errStopping is the error of a plan when the server is to stop.
var errStopping = errors.New("given up, as the server stops")

// excess describes the commands for which the policy's verdict is outside of its may settings, which
// the hub replaces by may_else; "" if there are none. It is a warning: the tenant is safe, but its
// policy does not do what its author meant.
func excess(g *policy.Generation) string {
	outside := g.Outside()
	if len(outside) == 0 {
		return ""
	}
	text := outside[0].Error()
	if more := len(outside) - 1; more > 0 {
		text += fmt.Sprintf("; and so for %d commands more", more)
	}
	return text
}

// Summary says in one line what a generation does with the known commands, and with an
// unknown one: "82 drop, 1 consume, 4 handle, 7 broadcast-except-sender, 1 broadcast-all; unknown
// commands: drop, log".
func Summary(g *policy.Generation) string {
	counts := make(map[policy.Action]int)
	inspected, limited := 0, 0
	for _, c := range pdu.KnownCommands() {
		v, _ := g.Classify(c.Service, c.ID)
		counts[v.Action()]++
		if v.Inspected() {
			inspected++
		}
		if v.Limit() != 0 {
			limited++
		}
	}
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[action], action))
	}
	if inspected > 0 {
		parts = append(parts, fmt.Sprintf("%d of them inspected", inspected))
	}
	if limited > 0 {
		parts = append(parts, fmt.Sprintf("%d of them limited", limited))
	}
	const unknown = 0xffff
	v, _ := g.Classify(unknown, unknown)
	return strings.Join(parts, ", ") + "; unknown commands: " + g.RateLimits().Spell(v)
}

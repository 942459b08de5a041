package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/policy/wasm"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
)

// Check is 'switchyard check': it reads the configuration, takes every policy through all gates, and
// returns all faults. It prints what has no faults. It opens no listener and puts nothing in force,
// so it may run beside a server with the same configuration. sandbox tries policies before they are
// loaded.
func Check(load Loader, sandbox wasm.Sandbox, stdout, stderr io.Writer) error {
	c, why, err := load()
	if err != nil {
		return err
	}
	c.Commands.Set.Use()
	fmt.Fprintf(stdout, "configuration %s (%s): sound\n", cmp.Or(c.Path, "none"), why)
	if usual := int64(wasm.DefaultLimits().Fuel); c.WASM.Fuel != usual {
		fmt.Fprintf(stdout, "warning: wasm.fuel is %d: a unit of fuel now stands for time at worst, and a load from a large memory takes up to 8; "+
			"leave the key out for the default, %d, which takes at most 10 ms\n", c.WASM.Fuel, usual)
	}
	// Whatever is wrong from here on does not end the check, because the operator is to see all
	// faults at once.
	engine := wasm.NewEngine(guestLimits(c), func(policy string, _ int, text string) {
		fmt.Fprintf(stderr, "policy %q says: %s\n", policy, text)
	})
	engine.TryFirst(sandbox, func(err error) { fmt.Fprintf(stdout, "warning: %v\n", err) })
	defer engine.Close()
	ledger, warning := trust.OpenLedger(c)
	if warning != nil {
		fmt.Fprintf(stdout, "warning: %v\n", warning)
	}
	checker := trust.New(c, ledger)
	fetchNow(checker, c)
	_, unsigned := releaseSigner(c)
	faults := []error{checkKeys(c, checker), unsigned, checkHosts(c, net.DefaultResolver.LookupNetIP, stdout), checkBus(c, stdout),
		checkCertificate(c, adminCertificate, c.Admin.Address, c.Admin.TLS, stdout),
		checkCertificate(c, metricsCertificate, c.Metrics.Address, c.Metrics.TLS, stdout), checkAccess(c)}
	for _, l := range c.Listeners {
		faults = append(faults, checkListener(c, l, stdout))
	}
	dry := dryRunner{engine: engine, stdout: stdout}
	for _, t := range c.Tenants {
		faults = append(faults, dry.check("tenant "+t.Name, findPolicy, checker, t))
		if t.Audit != "" {
			faults = append(faults, dry.check("audit of tenant "+t.Name, findAudit, checker, t))
		}
	}
	return errors.Join(faults...)
}

// checkKeys reads the keys that may sign policies.
func checkKeys(c *config.Config, checker *trust.Checker) error {
	if _, err := checker.Keys(); err != nil {
		return invalidKey(c, "signatures.keys", err)
	}
	return nil
}

// checkListener checks everything a listener needs except its address, which a running server may
// have.
func checkListener(c *config.Config, l config.Listener, stdout io.Writer) error {
	_, faults := (&listener{config: l}).admissionOptions(c, nil)
	if l.TLS.Certificate == "" {
		return faults
	}
	source, err := loadListenerCertificate(c, l)
	if err != nil {
		return errors.Join(faults, err)
	}
	warnings := source.Warnings()
	if w := unbound(c, l, source.Vouchers()); w != "" {
		warnings = append(warnings, w)
	}
	printCertificate("listener "+l.Address, source, warnings, stdout)
	return faults
}

// checkCertificate checks the TLS files of the admin interface or of metrics: whose says which. Without an
// address or a certificate there is nothing to check.
func checkCertificate(c *config.Config, whose, address string, t config.TLS, stdout io.Writer) error {
	if address == "" || t.Certificate == "" {
		return nil
	}
	source, err := loadCertificate(c, t, whose+".tls", whose)
	if err != nil {
		return err
	}
	printCertificate(whose+" "+address, source, source.Warnings(), stdout)
	return nil
}

// printCertificate prints when a certificate expires, and warnings about it.
func printCertificate(whose string, source *certificate.Source, warnings []string, stdout io.Writer) {
	fmt.Fprintf(stdout, "%s: TLS, its certificate is good until %s\n", whose, source.NotAfter().Format(time.RFC3339))
	for _, w := range warnings {
		fmt.Fprintf(stdout, "%s: warning: %s\n", whose, w)
	}
}

// unbound returns a warning if a CA that is meant for one tenant could vouch for another's
// names. vouchers says why there is more than one CA.
func unbound(c *config.Config, l config.Listener, vouchers string) string {
	if vouchers == "" || len(l.Tenants) < 2 && l.Tenant == "" {
		return ""
	}
	var tenants []string
	for _, name := range l.Tenants {
		if t, _ := c.Tenant(name); t.Claim().Unbound() {
			tenants = append(tenants, name)
		}
	}
	if len(tenants) == 0 {
		return ""
	}
	return fmt.Sprintf("%s, and each can vouch for the names by which these tenants claim connections: %s; name constraints of a CA do not cover \"cn:\", and of \"uri:\" the host only; "+
		"name each tenant's CA in its claims.issuers", vouchers, strings.Join(tenants, ", "))
}

// A dryRunner loads policies as the server would, and prints what they do and what is suspicious.
// It extracts the table of each policy once, because that takes most of the time of check, and
// many tenants may have the same policy.
type dryRunner struct {
	engine *wasm.Engine
	stdout io.Writer
	tables []extracted
}

// extracted is the table of a policy.
type extracted struct {
	policy candidate
	table  *review.Table
}

// check finds one policy of a tenant and runs it.
func (d *dryRunner) check(about string, find finder, checker *trust.Checker, t config.Tenant) error {
	p, err := find(checker, t)
	if err == nil {
		err = d.run(p, about, t.Quota)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", about, err)
	}
	return nil
}

// run loads a policy and prints its findings about that tenant, which has that quota.
func (d *dryRunner) run(p candidate, about string, q config.Quota) error {
	g, err := loadPolicy(context.Background(), d.engine, p)
	if err != nil {
		return err
	}
	defer g.Release()
	sum := p.FileSHA256
	if p.SHA256 != sum {
		sum += ", compiled to a module with sha256 " + p.SHA256
	}
	fmt.Fprintf(d.stdout, "%s: policy %s, sha256 %s: %s\n", about, p.Name, sum, Summary(g))
	for _, w := range p.proof.Warnings(time.Now()) {
		fmt.Fprintf(d.stdout, "%s: warning: %s\n", about, w)
	}
	if text := excess(g); text != "" {
		fmt.Fprintf(d.stdout, "%s: warning: %s\n", about, text)
	}
	printReview(d.table(p, g), about, d.stdout)
	for _, w := range append(p.Warnings(), aboveQuota(g.RateLimits(), q)...) {
		fmt.Fprintf(d.stdout, "%s: warning: %s\n", about, w)
	}
	return nil
}

// table returns the table of a policy that is loaded as g.
func (d *dryRunner) table(p candidate, g *policy.Generation) *review.Table {
	for _, e := range d.tables {
		if e.policy.same(p) {
			return e.table
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), reviewTime)
	defer cancel()
	inForce := review.InForce{Generation: g}
	table := review.NewQuestions(nil, inForce).Extract(ctx, inForce)
	d.tables = append(d.tables, extracted{p, table})
	return table
}

// reviewTime is how long a policy may take to answer all questions about its table.
const reviewTime = 30 * time.Second

// printReview prints the rules for ids that the protocol does not have, which no summary
// counts, and likely mistakes.
func printReview(table *review.Table, about string, stdout io.Writer) {
	const most = 10 // rows that are printed
	// A row is shown if its command is unknown, or is known but has the row for services that the
	// protocol does not have. Rows that are alike follow else, which is shown below.
	beyond := slices.DeleteFunc(table.Rows(), func(r review.Row) bool { return r.Alike || r.Known && !r.Scope.Beyond() })
	for _, r := range table.Rest() {
		if r.Scope.Beyond() {
			beyond = append(beyond, review.Row{Command: review.Else, Scope: r.Scope, Decision: r.Decision})
		}
	}
	for i, r := range beyond {
		if i == most {
			fmt.Fprintf(stdout, "%s: %d more such rules; 'switchyard policy show' prints all\n", about, len(beyond)-most)
			break
		}
		fmt.Fprintf(stdout, "%s: rule for ids beyond the protocol: %s of %s: %s\n", about, r.Command, r.Scope, r.Text())
	}
	for _, w := range table.Warnings() {
		fmt.Fprintf(stdout, "%s: warning: %s\n", about, w)
	}
	if !table.Complete() {
		fmt.Fprintf(stdout, "%s: warning: asked about %s\n", about, table.Asked())
	}
}

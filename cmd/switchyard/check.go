package main

import (
	"errors"
	"fmt"
	"io"

	"switchyard/policy/wasm"
)

// check reads the configuration and takes every policy through all gates, and
// reports all faults.
func check(o *options, stdout, stderr io.Writer) error {
	c, why, err := o.load()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "configuration %s (%s): sound\n", orNone(c.Path), why)
	engine := wasm.NewEngine(guestLimits(c), func(policy string, _ int, text string) {
		fmt.Fprintf(stderr, "policy %q says: %s\n", policy, text)
	})
	defer engine.Close()
	var faults []error
	for _, t := range c.Tenants {
		p, err := findPolicy(c, t)
		if err == nil {
			err = dryRun(engine, p, "tenant "+t.Name, stdout)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("tenant %s: %w", t.Name, err))
		}
		if t.Audit == "" {
			continue
		}
		if p, err = findAudit(c, t); err == nil {
			err = dryRun(engine, p, "audit of tenant "+t.Name, stdout)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("audit of tenant %s: %w", t.Name, err))
		}
	}
	return errors.Join(faults...)
}

func dryRun(engine *wasm.Engine, p candidate, about string, stdout io.Writer) error {
	g, err := loadPolicy(engine, p)
	if err != nil {
		return err
	}
	defer g.Release()
	fmt.Fprintf(stdout, "%s: policy %s, sha256 %s: %s\n", about, p.Name, p.SHA256, summary(g))
	return nil
}

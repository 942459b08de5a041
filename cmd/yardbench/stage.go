//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/process"
)

// With --stages, Switchyard is compared with itself while it releases a policy:
//
//	switchyard  one policy
//	again       the same: how far its figures differ is the noise
//	alike       a stage of two policies, half of the users each, that agree on what the load sends
//	compared    a shadow of two policies that differ on it: each PDU is judged by both, and weighed
//
// All have the same configuration, and the policy of the first one is obeyed about every PDU.

// A staging is a release that a contender has under way. start brings it about before the load
// begins, and check holds after the load that it was not over before.
type staging struct {
	keys      string // of the release
	candidate string // the table that is saved once the server runs; empty for no release
	counted   string // the field of the release's state in which PDUs are counted; empty for no release
}

const (
	stagePolicy = `[route]
CID_MSG_DATA = "broadcast-except-sender"
CID_MSG_READ_NOTIFY = "broadcast-except-sender"
CID_OTHER_HEARTBEAT = "consume"
`
	stageTime = 30 * time.Second // until a release has begun
)

// stageContenders returns the contenders of --stages.
func stageContenders(s contender) []contender {
	again, alike, compared := s, s, s
	again.name, alike.name, compared.name = "again", "alike", "compared"
	again.version += ", the same: the noise"
	alike.version += ", in a stage of two policies that agree on what is sent"
	compared.version += ", in the shadow of a policy that differs on it"
	s.staging = &staging{keys: `mode = "manual"`}
	again.staging = s.staging
	alike.staging = &staging{`mode = "manual", shadow = false, stages = ["50%"]`, strings.Replace(stagePolicy, "NOTIFY = \"broadcast-except-sender\"", "NOTIFY = \"drop\"", 1), "alike"}
	compared.staging = &staging{`mode = "manual"`, strings.Replace(stagePolicy, "DATA = \"broadcast-except-sender\"", "DATA = \"broadcast-all\"", 1), "by_stable"}
	return []contender{s, again, alike, compared}
}

// start starts the contender in a new folder, and waits until its release has begun. It returns the
// folder.
func (g *staging) start(ctx context.Context, dir string, command []string) (*process.Server, string, error) {
	dir, err := os.MkdirTemp(dir, "stage")
	if err != nil {
		return nil, "", fmt.Errorf("make a folder for the server: %w", err)
	}
	config := fmt.Sprintf("[admin]\nsocket = \"admin.sock\"\n[releases]\nstate = \"state\"\n[reload]\ndebounce = \"10ms\"\n[tenant.default]\npolicy = \"file:routes.toml\"\nrelease = { %s }\n", g.keys)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		return nil, "", fmt.Errorf("write configuration: %w", err)
	}
	if err := g.save(dir, stagePolicy); err != nil {
		return nil, "", err
	}
	running, err := process.Start(ctx, dir, command)
	if err != nil || g.candidate == "" {
		return running, dir, err
	}
	if err = g.save(dir, g.candidate); err == nil {
		err = g.await(ctx, dir, command[0])
	}
	if err != nil {
		running.Stop()
		return nil, "", err
	}
	return running, dir, nil
}

// save replaces the policy at once, as editors do: the server must not read half of it.
func (g *staging) save(dir, table string) error {
	name := filepath.Join(dir, "routes.toml")
	err := os.WriteFile(name+".new", []byte(table), 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("save policy: %w", err)
	}
	return nil
}

// await waits until the release has begun.
func (g *staging) await(ctx context.Context, dir, exe string) error {
	ctx, cancel := context.WithTimeout(ctx, stageTime)
	defer cancel()
	for {
		_, err := g.state(ctx, dir, exe)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no release begins: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// check fails unless the release is still under way and has counted PDUs as it should.
func (g *staging) check(ctx context.Context, dir, exe string) error {
	if g.candidate == "" {
		return nil
	}
	s, err := g.state(ctx, dir, exe)
	if err != nil {
		return err
	}
	if n, _ := s[g.counted].(float64); n == 0 {
		return fmt.Errorf("the release has counted no PDU as %s", g.counted)
	}
	return nil
}

// state returns the state of the release that is under way.
func (g *staging) state(ctx context.Context, dir, exe string) (map[string]any, error) {
	text, err := tool(ctx, dir, exe, "policy", "status", "--json")
	if err != nil {
		return nil, err
	}
	var all struct {
		Releases []struct{ Stage map[string]any }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read the state of the release: %w", err)
	}
	if len(all.Releases) != 1 || all.Releases[0].Stage == nil {
		return nil, fmt.Errorf("no release is under way: %s", text)
	}
	return all.Releases[0].Stage, nil
}

// stageTable has the costs of a release. Ratios are of runs of the same round, as the machine may
// be busier in another one.
func (c *comparison) stageTable(s *sheet, of []scenario) {
	s.head("", "server", "million deliveries/s", "CPU s per million", "p50 µs", "p99", "CPU against no release: median", "middle half")
	for _, sc := range of {
		for i, server := range c.contenders {
			r := c.of(sc, server)
			middle, half := "", ""
			if i > 0 {
				middle, half = quartiles(c.of(sc, c.contenders[0]), r, perMillion)
			}
			s.row(once(i, sc.label), server.name, number(median(r, delivered)/1e6), number(median(r, perMillion)), number(median(r, p50)), number(median(r, p99)), middle, half)
		}
	}
}

// quartiles returns the median of the ratios of one figure in the same rounds, and the middle half:
// from the first quartile to the third. If the half includes 1.000, the difference may be noise.
func quartiles(base, results []load.Result, of func(*load.Result) float64) (middle, half string) {
	var ratios []float64
	for i := range min(len(base), len(results)) {
		if b := of(&base[i]); b > 0 {
			ratios = append(ratios, of(&results[i])/b)
		}
	}
	if len(ratios) == 0 {
		return "–", "–"
	}
	slices.Sort(ratios)
	n := len(ratios)
	return fmt.Sprintf("%.3f", (ratios[(n-1)/2]+ratios[n/2])/2), fmt.Sprintf("%.3f–%.3f", ratios[(n-1)/4], ratios[n-1-(n-1)/4])
}

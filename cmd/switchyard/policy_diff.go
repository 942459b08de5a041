package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"switchyard/policy/review"
)

// diffOptions are the flags and arguments of policy diff.
type diffOptions struct {
	before, after   string // the policies
	beforeConfig    string
	afterConfig     string
	capture, tenant string
}

// policyDiff prints what changes from one policy to another. Its exit codes are those of diff(1), so
// all that keeps it from comparing is a troubleError, whatever it is.
func policyDiff(o *options, stdout, stderr io.Writer) *cobra.Command {
	var c diffOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Print only what changes from one policy to another",
		Long: "Print only what changes from one policy to another, weighted by traffic if a capture is given.\n\n" +
			"Exits with 0 if they are equal, 1 if they differ, 2 if one is refused. If both inspect a\n" +
			"command, each with its own code, they may differ, and that counts as a difference.",
		Args: exactly("POLICY before", "POLICY after"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.before, c.after = args[0], args[1]
			d, err := c.run(cmd.Context(), o, stderr)
			if err == nil {
				err = show(stdout, asJSON, d, printDifference)
			}
			switch {
			case err != nil:
				return troubleError{err}
			case d.differs():
				return errSilent
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.beforeConfig, "before-config", "", "configuration of the first policy: a JSON object as `JSON`, or the file that has it")
	f.StringVar(&c.afterConfig, "after-config", "", "configuration of the second policy, likewise as `JSON` or file")
	f.StringVar(&c.capture, "capture", "", "`file` of traffic that 'switchyard capture' wrote, to weight each change")
	f.StringVar(&c.tenant, "tenant", "", "`name` of the tenant in the capture, if it has several")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// A difference is what policy diff prints as JSON. Its names do not change.
//
//	before, after  the two policies, each with the sums of its file and of its module
//	changes        see review.Change
//	asked          what both were asked about, in words
//	traffic        the capture that weights the changes, or null
type difference struct {
	Before  side            `json:"before"`
	After   side            `json:"after"`
	Changes []review.Change `json:"changes"`
	Asked   string          `json:"asked"`
	Traffic *traffic        `json:"traffic"`
}

// A side is one of the two policies. SHA256 is the checksum of its file, and Module that of the
// module which a table compiles to; of a module they are equal.
type side struct {
	Policy string `json:"policy"`
	SHA256 string `json:"sha256"`
	Module string `json:"module_sha256"`
}

// traffic is the capture that weights the changes.
//
//	total    all PDUs, also those of which nothing changes
//	unknown  PDUs without the part that decides, such as a body, in the capture
//	missed   PDUs that the capture left out because it was too slow
type traffic struct {
	Capture string        `json:"capture"`
	Tenant  string        `json:"tenant"`
	Total   review.Weight `json:"total"`
	Unknown uint64        `json:"unknown"`
	Missed  uint64        `json:"missed"`
}

// run compares. If nothing differs and a policy was not asked about everything, the answer is not
// known, which is an error: exit code 0 means that they are equal.
func (c diffOptions) run(ctx context.Context, o *options, stderr io.Writer) (d difference, err error) {
	a, err := loadPolicy(o, c.before, c.beforeConfig, stderr)
	if err != nil {
		return d, err
	}
	defer a.close()
	b, err := loadPolicy(o, c.after, c.afterConfig, stderr)
	if err != nil {
		return d, err
	}
	defer b.close()
	var weights review.Weights
	if c.capture != "" {
		if d.Traffic, weights, err = c.traffic(a, b); err != nil {
			return d, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	q := review.NewQuestions(weights.Services(), a, b)
	before, after := q.Extract(ctx, a), q.Extract(ctx, b)
	// Of two policies that inspect, only equal code with an equal configuration is known to decide
	// alike.
	equal := a.SHA256 == b.SHA256 && string(a.config) == string(b.config)
	d.Before, d.After, d.Asked = side{a.Name, a.FileSHA256, a.SHA256}, side{b.Name, b.FileSHA256, b.SHA256}, after.Asked()
	d.Changes = append([]review.Change{}, review.Compare(before, after, equal)...)
	if d.Traffic != nil {
		d.Traffic.Total = review.Weigh(d.Changes, weights)
	}
	if !d.differs() && !(before.Complete() && after.Complete()) {
		return d, fmt.Errorf("%s and %s are equal as far as they were asked; asked about %s", a.Name, b.Name, after.Asked())
	}
	return d, nil
}

// differs reports whether the policies differ, by ids or on the traffic of the capture.
func (d difference) differs() bool {
	return len(d.Changes) > 0 || d.Traffic != nil && d.Traffic.Total.Changed > 0
}

// traffic replays the capture under both policies, and returns how much of it each command is.
func (c diffOptions) traffic(a, b *loadedPolicy) (*traffic, review.Weights, error) {
	r, err := replayFile(c.capture, c.tenant, a, b)
	if err != nil {
		return nil, nil, err
	}
	weights, unknown := r.Weights(1)
	return &traffic{Capture: c.capture, Tenant: r.Tenant, Unknown: unknown, Missed: r.Missed}, weights, nil
}

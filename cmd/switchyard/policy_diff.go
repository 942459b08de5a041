package main

import (
	"io"

	"github.com/spf13/cobra"

	"switchyard/policy/review"
)

// exitTrouble is policy diff's code for policies that cannot be compared.
const exitTrouble = 2

// A troubleError is what kept policy diff from comparing.
type troubleError struct{ error }

func (e troubleError) Unwrap() error { return e.error }

// A comparison is what policy diff is told.
type comparison struct {
	before, after   string // the policies
	beforeConfig    string
	afterConfig     string
	capture, tenant string
}

// policyDiff prints what changes from one policy to another.
func policyDiff(o *options, stdout, stderr io.Writer) *cobra.Command {
	var c comparison
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Print only what changes from one policy to another",
		Long: "Print only what changes from one policy to another, weighed by traffic if a capture is given.\n\n" +
			"Exits with 0 if they are alike, 1 if they differ, 2 if one is refused. Where both inspect\n" +
			"a command, each with code of its own, they may differ, and that counts as a difference.",
		Args: exactly("POLICY before", "POLICY after"),
		RunE: func(_ *cobra.Command, args []string) error {
			c.before, c.after = args[0], args[1]
			d, err := c.run(o, stderr)
			if err == nil && asJSON {
				err = printJSON(stdout, d)
			} else if err == nil {
				err = d.print(stdout)
			}
			switch {
			case err != nil:
				return troubleError{err}
			case len(d.Changes) > 0:
				return errSilent
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.beforeConfig, "before-config", "", "configuration of the first policy: a JSON object as `JSON`, or the file that has it")
	f.StringVar(&c.afterConfig, "after-config", "", "configuration of the second policy, `JSON` likewise")
	f.StringVar(&c.capture, "capture", "", "`file` of traffic that 'switchyard capture' wrote, to weigh each change")
	f.StringVar(&c.tenant, "tenant", "", "`name` of the tenant in the capture, if it has several")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A difference is what policy diff prints as JSON. Its names stay as they are.
//
//	before, after  the two policies, each with the sum of its module
//	changes        what changes: see review.Change
//	traffic        what they were weighed by, or null
type difference struct {
	Before  side            `json:"before"`
	After   side            `json:"after"`
	Changes []review.Change `json:"changes"`
	Traffic *traffic        `json:"traffic"`
}

type side struct {
	Policy string `json:"policy"`
	SHA256 string `json:"sha256"`
}

// traffic is the capture that changes were weighed by.
//
//	total    all of it, what does not change included
//	unknown  PDUs of which the capture does not hold what decides, such as bodies
//	missed   PDUs that the capture has not, though they were asked for
type traffic struct {
	Capture string        `json:"capture"`
	Tenant  string        `json:"tenant"`
	Total   review.Weight `json:"total"`
	Unknown uint64        `json:"unknown"`
	Missed  uint64        `json:"missed"`
}

func (c comparison) run(o *options, stderr io.Writer) (d difference, err error) {
	a, err := loadGuest(o, c.before, c.beforeConfig, stderr)
	if err != nil {
		return d, err
	}
	defer a.close()
	b, err := loadGuest(o, c.after, c.afterConfig, stderr)
	if err != nil {
		return d, err
	}
	defer b.close()
	equal := a.SHA256 == b.SHA256 && string(a.config) == string(b.config)
	d = difference{Before: side{a.Name, a.SHA256}, After: side{b.Name, b.SHA256}, Changes: []review.Change{}}
	d.Changes = append(d.Changes, review.Compare(review.Extract(a), review.Extract(b), equal)...)
	if c.capture != "" {
		d.Traffic, err = c.weigh(a, b, d.Changes)
	}
	return d, err
}

// weigh gives each change its part of the capture.
func (c comparison) weigh(a, b *guest, changes []review.Change) (*traffic, error) {
	r, err := replayFile(c.capture, c.tenant, a, b)
	if err != nil {
		return nil, err
	}
	weights, unknown := r.Weights(1)
	return &traffic{c.capture, r.Tenant, review.Weigh(changes, weights), unknown, r.Missed}, nil
}

package main

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"switchyard/policy/measure"
)

// policyBench measures what a policy costs. The figures are of this machine; engine and machine are
// in the output so that nobody compares those of two.
func policyBench(o *options, stdout, stderr io.Writer) *cobra.Command {
	var config string
	var asJSON bool
	effort := measure.Effort{Rounds: 5, Time: 50 * time.Millisecond}
	c := &cobra.Command{
		Use:   "bench POLICY",
		Short: "Measure what a policy's decisions cost",
		Long: "Measure what a policy's decisions cost, on one goroutine: a remembered verdict, without a\n" +
			"release and during one of a policy that agrees on it (alike) or not (compared), a call of\n" +
			"classify, and the inspections that it requests, with bodies of several sizes.",
		Args: exactly("POLICY"),
		RunE: func(c *cobra.Command, args []string) error {
			if effort.Rounds < 1 || effort.Rounds > 1000 || effort.Time < 0 || effort.Time > time.Minute {
				return usageError{fmt.Errorf("--rounds goes from 1 to 1000, --time from 0s to 1m; see '%s --help'", c.CommandPath())}
			}
			b, err := bench(o, args[0], config, effort, stderr)
			if err != nil {
				return err
			}
			return show(stdout, asJSON, b, printBench)
		},
	}
	configFlag(c, &config)
	c.Flags().IntVar(&effort.Rounds, "rounds", effort.Rounds, "`number` of rounds, of which the median counts")
	c.Flags().DurationVar(&effort.Time, "time", effort.Time, "least `time` of a round")
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// benchResult is what policy bench prints as JSON. Its names do not change.
//
//	policy, sha256  what was measured
//	engine          compiler or interpreter
//	machine         system, architecture and number of cores
//	rounds          of which the median counts
//	loading         time to load, memory of an instance: see measure.Loading
//	costs           of each kind of decision: see measure.Cost
type benchResult struct {
	Policy  string          `json:"policy"`
	SHA256  string          `json:"sha256"`
	Engine  string          `json:"engine"`
	Machine string          `json:"machine"`
	Rounds  int             `json:"rounds"`
	Loading measure.Loading `json:"loading"`
	Costs   []measure.Cost  `json:"costs"`
}

// bench loads the policy, measures its decisions, and then measures loading itself, by further loads
// without the trial in a child process that the first one had.
func bench(o *options, arg, config string, effort measure.Effort, stderr io.Writer) (benchResult, error) {
	g, err := loadPolicy(o, arg, config, stderr)
	if err != nil {
		return benchResult{}, err
	}
	defer g.close()
	kind, _ := g.engine.Kind()
	b := benchResult{Policy: g.Name, SHA256: g.FileSHA256, Engine: kind, Rounds: effort.Rounds,
		Machine: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))}
	b.Costs = measure.Costs(g.Policy, effort)
	b.Loading, err = measure.Load(g.Name, g.Bytes, g.config, g.limits, effort)
	return b, err
}

// printBench prints what was measured, and a row for each kind of decision. NS is the median of the
// rounds, LEAST and MOST their range, FUEL what the guest used:
//
//	DECISION    BODY  NS    LEAST  MOST  FUEL  ABOUT
//	remembered        1.1   1.1    1.3   0     CID_OTHER_SERVER_KICK_USER
//	classify          28.4  28.1   29.0  4     all in turn
func printBench(w io.Writer, b benchResult) error {
	fmt.Fprintf(w, "policy   %s\nsha256   %s\nengine   %s on %s\nmodule   %d bytes, loaded in %v\nmemory   %d KiB for each instance\n\n",
		b.Policy, b.SHA256, b.Engine, b.Machine, b.Loading.Module,
		time.Duration(b.Loading.Nanos).Round(10*time.Microsecond), b.Loading.Memory>>10)
	rows := [][]string{{"DECISION", "BODY", "NS", "LEAST", "MOST", "FUEL", "ABOUT"}}
	for _, c := range b.Costs {
		body := ""
		if c.Question == measure.InspectBody {
			body = fmt.Sprint(c.Body)
		}
		about := c.Command
		if c.Fault != "" {
			about += ", which fails: " + c.Fault
		}
		rows = append(rows, []string{c.Question, body, nanos(c.Nanos), nanos(c.Least), nanos(c.Most), fmt.Sprint(c.Fuel), about})
	}
	return columns(w, rows)
}

func nanos(n float64) string { return fmt.Sprintf("%.1f", n) }

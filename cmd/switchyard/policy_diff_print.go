package main

import (
	"fmt"
	"io"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
)

// A diffLine is one line of a difference: a change, or all known commands that change in the
// same way because they have no rule of their own.
type diffLine struct {
	review.Change
	commands int // without a rule of their own; 0 for a single change
}

// lines merges the changes of commands without a rule of their own. A changed else would otherwise
// fill the screen with a line for each command of the protocol:
//
//	57 commands that else is for   their own   drop   broadcast-all
func (d difference) lines() (lines []diffLine) {
	follow := make(map[[2]string]int) // the index of their line
	for _, c := range d.Changes {
		verdicts := [2]string{c.Before.Verdict, after(c)}
		switch i, known := follow[verdicts]; {
		case !c.Alike:
			lines = append(lines, diffLine{Change: c})
		case !known:
			follow[verdicts] = len(lines)
			lines = append(lines, diffLine{c, 1})
			if c.Weight != nil {
				lines[len(lines)-1].Weight = new(*c.Weight) // a sum of its own
			}
		default:
			lines[i].commands++
			if c.Weight != nil {
				lines[i].Weight.Add(*c.Weight)
			}
		}
	}
	return lines
}

// after describes the verdict of the second policy.
func after(c review.Change) string {
	if c.Unproven {
		return "the same, but inspected by other code"
	}
	return withSources(c.After, c.First)
}

// decisionOf returns the parts of a case's verdict on a command.
func decisionOf(c policy.Case, command uint16) review.Decision {
	v, limit, _ := policy.ParseSpelled(c.Verdict) // it was spelled by RateLimits
	return review.DecideLimited(v, pdu.CommandID(command), limit)
}

// withSources describes a verdict and its cases, and where they are written if that is known.
func withSources(d review.Decision, command uint16) string {
	var b strings.Builder
	for _, c := range d.Cases {
		fmt.Fprintf(&b, "if %s: %s (%s); else ", c.If, decisionOf(c, command).Text(), c.Source)
	}
	b.WriteString(d.Text())
	if len(d.Sources) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(d.Sources, ", "))
	}
	return b.String()
}

// printDifference prints the changes, or nothing if there are none, as diff(1) does. The columns from
// PDUS on are there if a capture weights the changes:
//
//	COMMAND       SERVICE  BEFORE  AFTER          PDUS  SHARE  DECIDED ANEW  COPIES      BYTES SENT
//	CID_MSG_DATA  any      drop    broadcast-all  1200  4.1%   1200          0 -> 37200  0 -> 9300000
func printDifference(w io.Writer, d difference) error {
	if !d.differs() {
		return nil
	}
	fmt.Fprintf(w, "before  %s  sha256 %s\nafter   %s  sha256 %s\n\n", d.Before.Policy, d.Before.SHA256, d.After.Policy, d.After.SHA256)
	head := []string{"COMMAND", "SERVICE", "BEFORE", "AFTER"}
	if d.Traffic != nil {
		head = append(head, "PDUS", "SHARE", "DECIDED ANEW", "COPIES", "BYTES SENT")
	}
	rows := [][]string{head}
	for _, l := range d.lines() {
		name, scope := l.Command, l.Scope.String()
		switch {
		case l.commands == 1:
			name, scope = "1 command that else is for", "its own"
		case l.commands > 1:
			name, scope = fmt.Sprintf("%d commands that else is for", l.commands), "their own"
		}
		rows = append(rows, append([]string{name, scope, withSources(l.Before, l.First), after(l.Change)}, weight(l.Weight)...))
	}
	if err := columns(w, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nasked about %s\n", d.Asked)
	t := d.Traffic
	if t == nil {
		return nil
	}
	fmt.Fprintf(w, "tenant %s in %s: %d PDUs, copies %s, bytes sent %s\n", t.Tenant, t.Capture,
		t.Total.PDUs, turn(t.Total.CopiesBefore, t.Total.CopiesAfter), turn(t.Total.SentBefore, t.Total.SentAfter))
	if t.Unknown > 0 {
		fmt.Fprintf(w, "not in the copies: %d PDUs without the part that decides in the capture\n", t.Unknown)
	}
	if t.Missed > 0 {
		fmt.Fprintf(w, "not in the capture: %d PDUs that it missed\n", t.Missed)
	}
	return nil
}

// weight returns the cells of a weight, if there is one.
func weight(w *review.Weight) []string {
	if w == nil {
		return nil
	}
	return []string{fmt.Sprint(w.PDUs), fmt.Sprintf("%.1f%%", w.Share*100), fmt.Sprint(w.Changed),
		turn(w.CopiesBefore, w.CopiesAfter), turn(w.SentBefore, w.SentAfter)}
}

// turn formats a number that changes: 1200 -> 300 (-75%).
func turn(before, after uint64) string {
	switch {
	case before == after:
		return fmt.Sprint(before)
	case before == 0:
		return fmt.Sprintf("0 -> %d", after)
	default:
		return fmt.Sprintf("%d -> %d (%+.0f%%)", before, after, (float64(after)/float64(before)-1)*100)
	}
}

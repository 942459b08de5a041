package policy

import (
	"slices"
	"strconv"
	"strings"

	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// A rate limit is written among the flags of a rule, in parts that commas separate: at most one for each
// scope, and "else drop", which says nothing and may be left out. A part is read as a limit by its first
// word, so that a faulty limit gets an error about limits and not about flags.

// The words of a rate limit in a table.
const (
	wordLimit   = "limit"
	wordElse    = "else"
	wordBurst   = "burst"
	scopePeer   = "peer"
	scopeTenant = "tenant"
	elseDrop    = "else drop"
)

const (
	writeLimit = "write limit 50/s per peer, or per tenant; behind it burst 100 for more at once"
	writeElse  = `write else drop; to slow a peer down instead, set its tenant's quota with on_breach = "slow"`
)

// CutLimit cuts the rate limit out of the text of a rule. The rest is a verdict without one.
//
//	broadcast-except-sender, limit 50/s per peer, limit 500/s per tenant, else drop, log
//	└─ rest ──────────────┘  └─ limit ──────────────────────────────────────────┘  └─ rest
//
// The limit is the zero RateLimit if the text has none.
func CutLimit(text string) (rest string, l RateLimit, wrong *command.Problem) {
	var kept []string
	hasElse := false
	for part := range strings.SplitSeq(text, ",") {
		switch words := strings.Fields(part); {
		case isLimit(words):
			wrong = addLimit(&l, words)
		case len(words) > 1 && words[0] == wordElse:
			wrong = checkElse(strings.Join(words, " "), hasElse)
			hasElse = true
		default:
			kept = append(kept, part)
		}
		if wrong != nil {
			return "", l, wrong
		}
	}
	if hasElse && l == (RateLimit{}) {
		return "", l, problem(writeLimit, "else drop needs a limit")
	}
	return strings.Join(kept, ","), l, nil
}

// isLimit reports whether a part of a rule is a limit, or is meant as one: "limt 50/s per peer" gets the
// error of a misspelt limit, and not that of an unknown flag.
func isLimit(words []string) bool {
	if len(words) == 0 {
		return false
	}
	return words[0] == wordLimit || len(words) > 1 && suggest.Word(words[0], []string{wordLimit}) != "" && !isHead(words[0])
}

func checkElse(written string, again bool) *command.Problem {
	switch {
	case written != elseDrop:
		return problem(writeElse, "%q: what is over a limit can only be dropped", written)
	case again:
		return problem("keep one", "else drop is written twice")
	}
	return nil
}

// ParseSpelled reads what RateLimits.Spell writes.
func ParseSpelled(text string) (v Verdict, l RateLimit, wrong *command.Problem) {
	if text, l, wrong = CutLimit(text); wrong == nil {
		v, wrong = ParseVerdict(text)
	}
	return v, l, wrong
}

// isHead reports whether the word begins an action or is a flag, so that it is not a misspelt limit.
func isHead(word string) bool {
	return slices.Contains(Actions[:], word) || flagOf(word) != 0
}

// addLimit reads one limit, in words, for a scope that l does not have yet:
//
//	limit 50/s per peer burst 100
//	      rate     scope      burst, if it is not the rate
func addLimit(l *RateLimit, words []string) *command.Problem {
	written := strings.Join(words, " ")
	if words[0] != wordLimit {
		return problem("did you mean limit?", "unknown flag %q", words[0])
	}
	if len(words) == 1 {
		return problem(writeLimit, "limit has no rate")
	}
	r, wrong := parseRate(words[1])
	if wrong != nil {
		return wrong
	}
	words = words[2:]
	if len(words) < 2 || words[0] != "per" {
		return problem("write "+wordLimit+" "+r.short()+" per peer, or per tenant", "%q does not say whose PDUs are counted together", written)
	}
	to, scope := &l.Peer, words[1]
	switch scope {
	case scopePeer:
	case scopeTenant:
		to = &l.Tenant
	default:
		return problem(suggest.Hint(scope, []string{scopePeer, scopeTenant}, "limits are per peer or per tenant"), "unknown scope %q", scope)
	}
	if words = words[2:]; len(words) > 0 {
		if r.Burst, wrong = parseBurst(words); wrong != nil {
			return wrong
		}
	}
	if *to != (Rate{}) {
		return problem("keep one", "two limits per %s", scope)
	}
	*to = r
	return nil
}

func (r Rate) short() string { return strconv.Itoa(int(r.PDUs)) + "/" + Periods[r.Period] }

// parseRate reads 50/s or 600/min. The burst is as many PDUs as the rate.
func parseRate(word string) (r Rate, wrong *command.Problem) {
	number, unit, ok := strings.Cut(word, "/")
	if r.PDUs, wrong = parsePDUs(number, "rate", word); wrong != nil {
		return r, wrong
	}
	r.Burst = r.PDUs
	switch {
	case !ok || unit == "":
		return r, problem("write "+number+"/s or "+number+"/min", "the rate %q has no unit", word)
	case unit == Periods[Second]:
		r.Period = Second
	case unit == Periods[Minute]:
		r.Period = Minute
	default:
		return r, problem(suggest.Hint(unit, []string{"min"}, "units are s, a second, and min, a minute"), "unknown unit %q of the rate %q", unit, word)
	}
	return r, nil
}

// parsePDUs reads a number of PDUs, of a rate or burst that is written so.
func parsePDUs(word, what, written string) (uint32, *command.Problem) {
	n, ok := command.ParseNumber(word)
	switch {
	case word == "" || !ok:
		return 0, problem("write a whole number from 1 to "+strconv.Itoa(MaxRate)+", as in limit 50/s per peer; for less than one a second, write it per minute", "the %s %q has no number of PDUs", what, written)
	case n == 0:
		return 0, problem("write drop as the action if nothing is to pass", "the %s %q lets nothing pass", what, written)
	case n > MaxRate:
		return 0, problem("write a number from 1 to "+strconv.Itoa(MaxRate)+", or remove the limit", "the %s %q is too large", what, written)
	}
	return uint32(n), nil
}

// parseBurst reads what follows the scope.
func parseBurst(words []string) (uint32, *command.Problem) {
	if words[0] != wordBurst {
		return 0, problem(suggest.Hint(words[0], []string{wordBurst}, "after the scope only a burst can follow, as in limit 50/s per peer burst 100; flags come after a comma"),
			"%q follows a limit", strings.Join(words, " "))
	}
	if len(words) != 2 {
		return 0, problem("write one number, as in burst 100", "burst takes one number of PDUs, not %d", len(words)-1)
	}
	return parsePDUs(words[1], "burst", words[1])
}

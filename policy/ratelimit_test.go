package policy

import (
	"regexp"
	"strings"
	"testing"

	"switchyard/policy/abi"
)

func TestCutLimit(t *testing.T) {
	pattern := regexp.MustCompile(RulePattern())
	for text, want := range map[string]struct {
		rest  string
		limit RateLimit
		again string // how the limit is spelled
	}{
		"broadcast-all, limit 50/s per peer, else drop": {"broadcast-all", RateLimit{Peer: Rate{50, Second, 50}}, "limit 50/s per peer, else drop"},
		"broadcast-all,limit 50/s  per peer":            {"broadcast-all", RateLimit{Peer: Rate{50, Second, 50}}, "limit 50/s per peer, else drop"},
		"broadcast-all, log, limit 600/min per tenant burst 0x14": {"broadcast-all, log", RateLimit{Tenant: Rate{600, Minute, 20}},
			"limit 600/min per tenant burst 20, else drop"},
		"unicast master, limit 9/s per tenant burst 1, not-sender, limit 3/s per peer": {"unicast master, not-sender",
			RateLimit{Peer: Rate{3, Second, 3}, Tenant: Rate{9, Second, 1}}, "limit 3/s per peer, limit 9/s per tenant burst 1, else drop"},
		"drop, log": {"drop, log", RateLimit{}, ""},
	} {
		if !pattern.MatchString(text) {
			t.Errorf("%q does not match %s", text, pattern)
		}
		rest, limit, wrong := CutLimit(text)
		if wrong != nil || rest != want.rest || limit != want.limit {
			t.Errorf("CutLimit(%q) = %q, %+v, %v; want %q, %+v", text, rest, limit, wrong, want.rest, want.limit)
		}
		if want.again != "" && limit.String() != want.again {
			t.Errorf("%+v is spelled %q, want %q", limit, limit, want.again)
		}
		for _, r := range []Rate{limit.Peer, limit.Tenant} {
			if again, err := ReadRate(r.Word()); r != (Rate{}) && (err != nil || again != r) {
				t.Errorf("ReadRate(Word) = %+v, %v; want %+v", again, err, r)
			}
		}
	}
}

func TestCutLimitRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"limit":                                   "limit has no rate; write limit 50/s per peer",
		"limit 0/s per peer":                      "the rate \"0/s\" lets nothing pass; write drop",
		"limit -1/s per peer":                     "the rate \"-1/s\" has no number of PDUs; write a whole number from 1 to 1000000",
		"limit 1e9/s per peer":                    "the rate \"1e9/s\" has no number of PDUs; write a whole number from 1 to 1000000",
		"limit 0.5/s per peer":                    "for less than one a second, write it per minute",
		"limit 1000000000/s per peer":             "the rate \"1000000000/s\" is too large; write a number from 1 to 1000000",
		"limit 99999999999999999999/s per peer":   "is too large",
		"limit 50 per peer":                       "the rate \"50\" has no unit; write 50/s or 50/min",
		"limit 50/ per peer":                      "the rate \"50/\" has no unit; write 50/s or 50/min",
		"limit 50/h per peer":                     `unknown unit "h" of the rate "50/h"; units are s, a second, and min, a minute`,
		"limit 50/minute per peer":                "did you mean min?",
		"limit /s per peer":                       "has no number of PDUs",
		"limit 50/s":                              `"limit 50/s" does not say whose PDUs are counted together; write limit 50/s per peer, or per tenant`,
		"limit 50/s peer":                         "does not say whose",
		"limit 50/s per":                          "does not say whose",
		"limit 50/s per per":                      `unknown scope "per"; did you mean peer?`,
		"limit 50/s per user":                     `unknown scope "user"; `,
		"limit 50/s per session":                  "limits are per peer or per tenant",
		"limit 50/s per peer burst":               "burst takes one number",
		"limit 50/s per peer burst 0":             "the burst \"0\" lets nothing pass",
		"limit 50/s per peer burst many":          "the burst \"many\" has no number",
		"limit 50/s per peer burst 2000000":       "the burst \"2000000\" is too large",
		"limit 50/s per peer brst 7":              "did you mean burst?",
		"limit 50/s per peer else drop":           `"else drop" follows a limit; `,
		"limit 5/s per peer, limit 6/s per peer":  "two limits per peer; keep one",
		"limit 5/s per peer, else pause":          `"else pause": what is over a limit can only be dropped; write else drop; to slow a peer down instead, set its tenant's quota with on_breach = "slow"`,
		"limit 5/s per peer, else broadcast-all":  "can only be dropped",
		"limit 5/s per peer, else drop, log":      "",
		"limit 5/s per peer, else drop,else drop": "else drop is written twice; keep one",
		"else drop":                               "else drop needs a limit; write limit 50/s per peer",
		"limt 5/s per peer":                       `unknown flag "limt"; did you mean limit?`,
	} {
		_, _, wrong := CutLimit("broadcast-all, " + text)
		got := ""
		if wrong != nil {
			got = wrong.What + "; " + wrong.Remedy
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("CutLimit(%q) says %q, want %q", text, got, want)
		}
	}
}

func TestReadRateRefuses(t *testing.T) {
	for word, want := range map[uint64]string{
		1:                                  "period 0",
		3<<abi.RatePeriodShift | 1:         "period 3",
		1 << abi.RatePeriodShift:           "0 PDUs",
		1<<abi.RatePeriodShift | 1000001:   "1000001 PDUs",
		1<<56 | 1<<abi.RatePeriodShift | 1: "reserved bits 56–63",
		1000001<<abi.RateBurstShift | 1<<abi.RatePeriodShift | 1: "a burst of 1000001",
	} {
		if _, err := ReadRate(word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadRate(%#x) = %v, want %q", word, err, want)
		}
	}
	if r, err := ReadRate(1<<abi.RatePeriodShift | 7); err != nil || r != (Rate{7, Second, 7}) {
		t.Errorf("a rate without a burst is %+v, %v", r, err)
	}
}

// The number of a limit changes nothing else of a verdict, and a guest's word has it elsewhere.
func TestLimitOfVerdict(t *testing.T) {
	everyVerdict(func(v Verdict) {
		for n := range abi.MaxLimits + 1 {
			l := v.WithLimit(n)
			if l.Limit() != n || l.WithLimit(0) != v || l.Action() != v.Action() || l.Selector() != v.Selector() || l.Argument() != v.Argument() {
				t.Fatalf("%v with limit %d is %v", v, n, l)
			}
			if word := l.GuestNumbers(); word != uint64(v)|uint64(n)<<26 || VerdictOf(word) != l {
				t.Fatalf("%v has the word %#x, which is %v", l, word, VerdictOf(word))
			}
			if n > 0 && l.OverLimit() != (v.Action() == Drop) {
				t.Fatalf("OverLimit of %v is %v", l, l.OverLimit())
			}
		}
	})
	limits := RateLimits{{Peer: Rate{5, Minute, 5}}}
	if got := limits.Spell(Verdict(abi.BroadcastAll | abi.Log).WithLimit(1)); got != "broadcast-all, log, limit 5/min per peer, else drop" {
		t.Errorf("Spell = %q", got)
	}
}

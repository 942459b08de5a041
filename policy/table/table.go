// Package table compiles routing tables to WASM policies, so that tables and other
// policies have one execution path. Tables are TOML; most policies are written so. The
// package runs nothing and touches no files.
//
// A table reads like a switch statement over the command id:
//
//	[route]
//	CID_OTHER_HEARTBEAT = "consume"
//	CID_OTHER_ROLE_SET  = "handle role-set"
//	CID_SWITCH_P2P_CMD  = "unicast fields from_user_id to_user_id, not-sender, else-broadcast"
//	0x0720-0x072f       = "broadcast-except-sender"
//	else                = "drop, log"
//
//	[service.SID_FILE]
//	CID_FILE_NOTIFY     = "unicast fields to_user_id, else-broadcast"
//	else                = "drop"
//
// # Keys
//
// A command is written by name or by id, 0x0301 or 769, also a custom one of the
// configuration; a range is two commands with a hyphen between them, both included. A service is written by name or by
// id in the section's header. Rules under [route] hold for every service id, those
// under [service.X] for that service alone, where there are no ranges.
//
// # Precedence
//
// Of the rules that match, the most specific one decides, in whatever order they are written:
//
//  1. a command under the PDU's [service.X]
//  2. a command under [route]
//  3. a range under [route], a narrower one before a wider one around it
//  4. the else of the PDU's [service.X]
//  5. the else of [route], which is "drop, log" unless written
//
// Two rules of the same rank that can both match are an error.
//
// # Cases
//
// A command whose rule is a section has cases, of which the first one that holds decides:
//
//	[route.CID_MSG_DATA]
//	"msg_type = 1-2"                           = "unicast fields from_user_id to_session_id, else-broadcast"
//	"msg_type = 17-18 and body-length > 4096"  = "drop, log"
//	else                                       = "broadcast-except-sender"
//
// A case compares the length of the body, or a numeric field of it, by its name in the command's
// message or as in "field 5", with a number, a range, or the name of a value of the field's
// enumeration. The comparisons are = != < <= > >=; several of them are joined by and. A comparison
// with a field that is not in the body does not hold, and that is so for all fields of a body that
// cannot be read. A number is cut to 32 bits, and of a field that is there several times the last one
// counts. else, which must be written, is also for a PDU that cannot be inspected.
//
// # Senders
//
// Rules under [from.NAME] hold for what the peers of that group send, and come before all others.
// The configuration says who is in a group. [from.master] is about the peers that declared
// themselves master:
//
//	[from.admin]
//	CID_OTHER_SERVER_KICK_USER = "broadcast-except-sender"
//
//	[from.guests]
//	CID_MSG_DATA = "drop, log"
//
//	[route]
//	CID_OTHER_SERVER_KICK_USER = "drop, log"
//
// The sections are tried in the order in which they are written. In each, the most specific rule that
// matches decides: a command, a range, else. If none matches, the next section is tried, and at last
// the rules under [route] and [service.X]. There are no cases in these sections.
//
// # Tables that extend another
//
// A table may begin with the name of another one, a shipped table or a file in its own folder or
// below, and then has only the rules that differ:
//
//	extends = "teamtalk"
//
//	[route]
//	CID_FILE_NOTIFY = "unicast fields to_user_id, else-broadcast"
//
// It means the same as one table with the rules of both, except that of two rules for the same
// service and command, the same range, or the same else, the extending table's applies. The
// cases of a command are one rule. The sections [from.NAME] of the extending table come before
// those that only the other has.
//
// # Verdicts
//
// A verdict is an action and, after commas, flags. Tools print it as tables spell it, so that
// their output can be copied into a table.
//
//	drop                     dropped and counted
//	consume                  accepted, and sent to nobody
//	handle HANDLER           handled by the hub: online-user-info, user-status-update, role-set
//	                         or users-status-request
//	broadcast-except-sender  sent to all other peers
//	broadcast-all            sent to all peers
//	unicast sender           sent back to the sender
//	unicast master           sent to the peers that declared themselves master
//	unicast session N        sent to that session
//	unicast user N           sent to the peers that hold that user
//	unicast fields F…        sent to the peers that hold the users in these fields of the body
//	unicast group NAME       sent to the peers of that group
//	close                    the sender's connection is closed
//
// F is a field of the command's body that holds users, by its number, 1–31, or by its name in the
// command's message. The flags:
//
//	log             the PDU's header is logged
//	not-sender      of a unicast: not back to the sender
//	else-broadcast  of a unicast to users or fields: if one of the users is not known, broadcast
//	                except to the sender
//	also group NAME of a unicast and of broadcasts: a copy to the peers of that group as well; a
//	                peer that gets the PDU anyway, and the sender, get none
//
// # Rate limits
//
// A row may limit how many of its PDUs are carried out; the others are dropped:
//
//	CID_MSG_DATA    = "broadcast-except-sender, limit 50/s per peer burst 100, else drop"
//	CID_FILE_NOTIFY = "broadcast-except-sender, limit 30/min per peer, limit 500/s per tenant, else drop"
//
// A rate is 1 to 1000000 PDUs in a second (s) or a minute (min). burst is how many may come at once;
// without it, as many as in a second or minute. All PDUs about which a row decides share its limit,
// such as those of all commands of a range; each case has its own limit. Rows that drop, consume or
// close cannot have a limit, nor can online-user-info, user-status-update and role-set. else drop may
// be left out. A table has at most 63 rows with a limit.
package table

import (
	"cmp"
	"maps"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// MaxSize is the largest table that Parse reads, in bytes.
const MaxSize = 1 << 20

// MaxRules is the largest number of rules in one table, with its cases and those of the tables that
// it extends. TeamTalk's protocol has 95 commands and 8 services.
const MaxRules = 4096

// Otherwise is the verdict of a table without else, and what the original does with
// unknown commands.
const Otherwise policy.Verdict = abi.Drop | abi.Log

// A Table is a parsed routing table, with the rules of those that it extends. It is immutable.
type Table struct {
	ruleSet                          // of [route]
	pairs    map[pair]*rule          // for one command of one service
	services map[pdu.ServiceID]*rule // the else of each [service.X]
	from     []*fromSection          // in the order in which they are tried, before all other rules
	custom   bool                    // it names custom commands of the configuration, or their fields
	limits   policy.RateLimits       // by the numbers in its verdicts
	groups   []string                // that it names, by their numbers in its verdicts
}

// A ruleSet is the rules for commands in [route], or in one [from.NAME].
type ruleSet struct {
	commands  map[pdu.CommandID]*rule
	ranges    []span // narrower ones first
	otherwise rule   // else; its Line is 0 if no table wrote it

	keys map[pdu.CommandID]toml.Key // of the rules in commands, for errors
}

func newRuleSet() ruleSet {
	return ruleSet{commands: make(map[pdu.CommandID]*rule), keys: make(map[pdu.CommandID]toml.Key)}
}

type pair struct {
	service pdu.ServiceID
	command pdu.CommandID
}

// A rule is a decision. If it has cases, the decision is their else.
type rule struct {
	decision
	cases []oneCase
}

// A span is the rule for the commands from lo to hi, both included.
type span struct {
	lo, hi pdu.CommandID
	word   string // as the table writes it
	rule
}

// A Place is where a rule is written. The zero Place is that of the else that no table wrote.
type Place struct {
	File string // empty for the table itself; for one that it extends, its name for a Reader
	Line int    // from 1
}

// Compile parses the table and returns its module. name is the table's name in errors. An
// error is of type tomlpos.Errors and has every fault.
func Compile(name string, src []byte) ([]byte, error) {
	t, err := Parse(name, src)
	if err != nil {
		return nil, err
	}
	return t.Module(), nil
}

// Verdict returns the verdict of the table by ids, to compare the module with it in tests. Its groups
// have the numbers of the table. Traffic is judged by the module.
func (t *Table) Verdict(service pdu.ServiceID, command pdu.CommandID) policy.Verdict {
	v := t.rule(service, command).byIDs()
	if t.depends(command) {
		v |= abi.InspectHeader
	}
	return v
}

// Place returns where the rule is written that decides about the ids.
func (t *Table) Place(service pdu.ServiceID, command pdu.CommandID) Place {
	return t.rule(service, command).at
}

// UsesCustom reports whether the table names custom commands of the configuration, or fields of their bodies,
// so that its own text does not say all that it means; Text does.
func (t *Table) UsesCustom() bool { return t.custom }

// rule returns the rule that decides about the ids, but for those of certain senders.
func (t *Table) rule(service pdu.ServiceID, command pdu.CommandID) *rule {
	if r, ok := t.pairs[pair{service, command}]; ok {
		return r
	}
	if r := t.find(command); r != nil {
		return r
	}
	if r, ok := t.services[service]; ok {
		return r
	}
	return &t.otherwise
}

// find returns the most specific rule for the command except else, or nil.
func (s *ruleSet) find(c pdu.CommandID) *rule {
	if r, ok := s.commands[c]; ok {
		return r
	}
	for i := range s.ranges {
		if r := &s.ranges[i]; r.lo <= c && c <= r.hi {
			return &r.rule
		}
	}
	return nil
}

// decisions returns what each row of the table says, in the order of Text, without an else that no
// table wrote. While the table is being made, the decisions may be changed.
func (t *Table) decisions() []*decision {
	rules := t.written()
	for _, service := range t.named() {
		for _, p := range t.pairsOf(service) {
			rules = append(rules, t.pairs[p])
		}
		if r, ok := t.services[service]; ok {
			rules = append(rules, r)
		}
	}
	for _, f := range t.from {
		rules = append(rules, f.written()...)
	}
	var all []*decision
	for _, r := range rules {
		for i := range r.cases {
			all = append(all, &r.cases[i].decision)
		}
		all = append(all, &r.decision)
	}
	return all
}

// written returns the rules of the set in the order of Text.
func (s *ruleSet) written() (rules []*rule) {
	for _, id := range slices.Sorted(maps.Keys(s.commands)) {
		rules = append(rules, s.commands[id])
	}
	for _, r := range s.inOrder() {
		rules = append(rules, &r.rule)
	}
	if s.otherwise.at.Line > 0 {
		rules = append(rules, &s.otherwise)
	}
	return rules
}

// inOrder returns the ranges by their first commands, wider ones first.
func (s *ruleSet) inOrder() []*span {
	all := make([]*span, len(s.ranges))
	for i := range all {
		all[i] = &s.ranges[i]
	}
	slices.SortFunc(all, func(x, y *span) int { return compareSpans(*x, *y) })
	return all
}

func compareSpans(x, y span) int { return cmp.Or(cmp.Compare(x.lo, y.lo), cmp.Compare(y.hi, x.hi)) }

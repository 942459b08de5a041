package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/reproduce"
	"switchyard/policy/stablefile"
	"switchyard/proxy/cases"
)

// evalOptions are the flags of policy eval. All but reproduce, config and asJSON describe a PDU and
// the peers of a hub; they do not go with reproduce.
type evalOptions struct {
	command, service string
	seq              uint16
	fields           []string
	hex              string
	from             string
	session          uint64
	users            []string
	peers            []string
	masters          []string
	groups           []string // as GROUP=PEER
	reproduce        string
	config           string
	asJSON           bool
}

// policyEval explains one decision of a policy. The PDU is either what the flags describe, which is
// routed by a hub with the peers of the flags, or one that a server saved because the policy failed
// on it, of which only the decision can be repeated.
func policyEval(o *options, stdout, stderr io.Writer) *cobra.Command {
	var e evalOptions
	c := &cobra.Command{
		Use:   "eval POLICY --command COMMAND | eval [POLICY] --reproduce FILE",
		Short: "Explain one decision of a policy",
		Long: "Explain one decision of a policy: its verdict by ids, its verdict after inspecting the PDU\n" +
			"if it requests that, the cost of each, and which peers receive a copy.",
		Example: "  switchyard policy eval teamtalk --command CID_MSG_DATA\n" +
			"  switchyard policy eval routes.toml --command CID_SWITCH_P2P_CMD \\\n" +
			"    --body from_user_id=1 --body to_user_id=2 --from north --user 2=east --peer south",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if e.reproduce != "" {
				return e.again(o, c, args, stdout, stderr)
			}
			if err := exactly("POLICY")(c, args); err != nil {
				return err
			}
			return e.evaluate(o, c, args[0], stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringVar(&e.command, "command", "", "`command` of the PDU, by name or id")
	f.StringVar(&e.service, "service", "", "`service` of the PDU, by name or id (default the command's)")
	f.Uint16Var(&e.seq, "seq", 0, "sequence `number` of the PDU")
	f.StringArrayVar(&e.fields, "body", nil, "`FIELD=VALUE` of the body's message; may be repeated")
	f.StringVar(&e.hex, "hex", "", "body as hex `digits` instead")
	f.StringVar(&e.from, "from", "sender", "`name` of the peer that sends")
	f.Uint64Var(&e.session, "session", 1, "session `number` of the sender, from 1; other peers have the next ones")
	f.StringArrayVar(&e.users, "user", nil, "`USER=PEER`: that peer holds the user with that number; may be repeated")
	f.StringArrayVar(&e.peers, "peer", nil, "`name` of one more peer; may be repeated (default one, other)")
	f.StringArrayVar(&e.masters, "master", nil, "`name` of a peer that is master; may be repeated")
	f.StringArrayVar(&e.groups, "group", nil, "`GROUP=PEER`: that peer is in the group; may be repeated")
	f.StringVar(&e.reproduce, "reproduce", "", "`file` that was saved when a policy failed; repeats that decision")
	jsonFlag(c, &e.asJSON, "print JSON")
	configFlag(c, &e.config)
	c.RegisterFlagCompletionFunc("command", o.completeCommands)
	return c
}

// evaluate explains how the PDU that the flags describe is routed. The policy is called twice for
// it: once alone, for the verdicts and their cost, and once by a hub with the peers of the flags,
// for the copies.
func (e *evalOptions) evaluate(o *options, c *cobra.Command, arg string, stdout, stderr io.Writer) error {
	p, err := e.pdu(c)
	if err != nil {
		return err
	}
	peers, err := e.casePeers()
	if err != nil {
		return err
	}
	// The flags are sound, and only now is the policy loaded, which may take seconds.
	g, err := loadPolicy(o, arg, e.config, stderr)
	if err != nil {
		return err
	}
	defer g.close()
	harness := cases.NewHarness(g.Name, g.SHA256, g, peers)
	defer harness.Close()
	q := policy.Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: harness.Session(e.from), Attributes: harness.Attributes(e.from), Groups: harness.Groups(e.from)}
	x := explained(g, q)
	x.Sender.Peer = e.from
	// A misspelt group would otherwise look as if the policy had no rule for it.
	for _, note := range cases.NotesOfGroups(peers, g.Groups()) {
		x.Notes = append(x.Notes, note.Text)
	}
	outcome := harness.Send(e.from, p)
	x.name(outcome.Verdict, q.Body, peers)
	x.Routed, x.Dropped = true, string(outcome.Dropped)
	x.To, x.Sends = outcome.Sent()
	return show(stdout, e.asJSON, x, printExplanation)
}

// again repeats a decision on which a policy failed. Whether it fails again is in the notes and not
// in the exit code: both are an answer.
func (e *evalOptions) again(o *options, c *cobra.Command, args []string, stdout, stderr io.Writer) error {
	for _, other := range []string{"command", "service", "seq", "body", "hex", "from", "session", "user", "peer", "master", "group"} {
		if c.Flags().Changed(other) {
			return usageError{fmt.Errorf("--%s does not go with --reproduce, whose file holds the PDU; see '%s --help'", other, c.CommandPath())}
		}
	}
	if len(args) > 1 {
		return exactly("POLICY")(c, args)
	}
	text, err := stablefile.Read(e.reproduce, 10*time.Millisecond, reproduce.MaxSize)
	if err != nil {
		return dataError{err}
	}
	failure, err := reproduce.Parse(text)
	if err != nil {
		return dataError{fmt.Errorf("%s: %w", e.reproduce, err)}
	}
	// The file names the policy and has its configuration; the command line can replace both, to
	// see whether a corrected module still fails.
	name := failure.Policy
	if len(args) == 1 {
		name = args[0]
	}
	g, err := loadPolicy(o, name, cmp.Or(e.config, string(failure.Config)), stderr)
	if err != nil {
		return err
	}
	defer g.close()
	x := explained(g, failure.Question)
	if g.SHA256 != failure.SHA256 {
		x.Notes = append(x.Notes, fmt.Sprintf("this is not the module that failed, which has sha256 %s", failure.SHA256))
	}
	if x.Fault == nil || x.Fault.Kind != failure.Kind {
		x.Notes = append(x.Notes, fmt.Sprintf("the failure that was saved, %s, did not happen again: %s", failure.Kind, failure.Error))
	}
	return show(stdout, e.asJSON, x, printExplanation)
}

// pdu returns the PDU that the flags describe. A body that does not belong to the command is allowed
// as hex digits, since a policy has to bear any.
func (e *evalOptions) pdu(c *cobra.Command) ([]byte, error) {
	if e.command == "" {
		return nil, usageError{fmt.Errorf("eval needs --command, as in --command CID_MSG_DATA; see '%s --help'", c.CommandPath())}
	}
	if e.hex != "" && len(e.fields) > 0 {
		return nil, usageError{fmt.Errorf("--body and --hex are two ways to write the body; keep one")}
	}
	id, problem := command.ID(e.command)
	if problem != nil {
		return nil, usageError{fmt.Errorf("--command: %w", problem)}
	}
	service := id.Service()
	if e.service != "" {
		if service, problem = command.Service(e.service); problem != nil {
			return nil, usageError{fmt.Errorf("--service: %w", problem)}
		}
	}
	body, err := cases.Hex(e.hex)
	if err != nil {
		return nil, usageError{fmt.Errorf("--hex: %w; write two hex digits for each byte", err)}
	}
	if len(e.fields) > 0 {
		fields, err := cases.Assign(id, e.fields)
		if err == nil {
			body, _, err = cases.Body(id, fields)
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("--body: %w", err)}
		}
	}
	return pdu.Append(nil, service, id, e.seq, body), nil
}

// casePeers returns the peers that the flags name, the sender first. Several flags may be about the same
// peer; --master and the like add a peer that no --peer has named:
//
//	--from north --session 5 --user 2=east --group ops=east --master west
//
//	north  session 5, the sender
//	east   holds user 2, and is in the group ops
//	west   is master
//
// A sender alone would hide what a broadcast does, so one more peer is added then.
func (e *evalOptions) casePeers() ([]cases.Peer, error) {
	if e.session == 0 || e.session > math.MaxInt64 {
		return nil, usageError{fmt.Errorf("--session %d: sessions count from 1; write a number up to %d", e.session, int64(math.MaxInt64))}
	}
	peers := []cases.Peer{{Name: e.from, Session: e.session}}
	// A flag may name a peer that no other flag has named.
	find := func(name string) *cases.Peer {
		i := slices.IndexFunc(peers, func(p cases.Peer) bool { return p.Name == name })
		if i < 0 {
			i = len(peers)
			peers = append(peers, cases.Peer{Name: name})
		}
		return &peers[i]
	}
	for _, name := range e.peers {
		find(name)
	}
	for _, a := range e.users {
		text, name, ok := strings.Cut(a, "=")
		user, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || name == "" {
			return nil, usageError{fmt.Errorf("--user %s: write USER=PEER, as in --user 7=north", a)}
		}
		peer := find(name)
		peer.Users = append(peer.Users, uint32(user))
	}
	for _, name := range e.masters {
		find(name).Master = true
	}
	for _, a := range e.groups {
		group, name, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--group %s: write GROUP=PEER, as in --group admin=north", a)}
		}
		g, err := policy.GroupNamed(group)
		if err != nil {
			return nil, usageError{fmt.Errorf("--group %s: %w", a, err)}
		}
		peer := find(name)
		peer.Groups = append(peer.Groups, g)
	}
	if len(peers) == 1 {
		find("other")
	}
	return peers, nil
}

// explained calls the policy for the question and describes its answers.
func explained(g *loadedPolicy, q policy.Question) *explanation {
	return newExplanation(g, q, g.Policy.Explain(q))
}

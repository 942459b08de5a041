package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/provenance"
	"switchyard/policy/release/history"
	"switchyard/policy/sanitize"
	"switchyard/proxy/config"
)

// openHistory opens the history of policies that the configuration names. It logs if the history is
// lost when the process exits, or cannot be written now. The error is about the key.
func (srv *server) openHistory() error {
	c := srv.config
	signer, err := releaseSigner(c)
	if err != nil {
		return err
	}
	folder, warning := c.HistoryFolder()
	if warning != nil {
		warning = fmt.Errorf("%w; set releases.state to a folder", warning)
	}
	h, failed := history.Open(folder, int(c.Releases.Keep), signer)
	srv.records = h
	srv.state.records.Store(h)
	srv.warnHistory(errors.Join(warning, failed))
	srv.warnDamage()
	return nil
}

// releaseSigner returns the signer of receipts that the configuration names, or nil.
func releaseSigner(c *config.Config) (*provenance.Signer, error) {
	if c.Releases.Key == "" {
		return nil, nil
	}
	signer, err := provenance.ReadSigner(c.File(c.Releases.Key))
	if err != nil {
		return nil, invalidKey(c, "releases.key", err)
	}
	return signer, nil
}

// newHistory returns a history in memory, for a server that has not opened its own yet. Its methods
// work, so that no caller has to check whether there is a history.
func newHistory() *history.History {
	h, _ := history.Open("", 1, nil) // which cannot fail without a folder
	return h
}

// warnDamage logs damage of the history that was found since it was called last.
func (srv *server) warnDamage() {
	damage := srv.records.Position().Damaged
	if damage != nil && (srv.historyDamage == nil || *damage != *srv.historyDamage) {
		srv.log.Error("the history of policies is damaged; the file is kept, and another one begins", "file", damage.File, "line", damage.Line, "error", damage.Problem)
	}
	srv.historyDamage = damage
}

// warnHistory logs once that the history cannot be written, and forgets that when it can.
func (srv *server) warnHistory(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != srv.historyWarning {
		srv.log.Warn("the history of policies is kept in memory only", "error", err)
	}
	srv.historyWarning = text
}

// recordOf returns what the history stores of a policy, and the files that it refers to.
func recordOf(c candidate) (history.Policy, [][]byte) {
	p := history.Policy{Name: c.Name, Revision: c.Revision, SHA256: c.FileSHA256}
	files := [][]byte{c.File}
	if c.config != nil {
		p.Config = history.Sum(c.config)
		files = append(files, c.config)
	}
	if c.proof.Signature != nil {
		p.Signature = history.Sum(c.proof.Signature)
		files = append(files, c.proof.Signature)
	}
	p.Identity = history.Identify(p.SHA256, p.Config, c.may)
	if c.proof.Verified() {
		p.Version, p.Signers = c.proof.Statement.Version, c.proof.Signers
	}
	return p, files
}

// whoSaved returns who changed the file of a tenant's policy, as far as the file says so: of a table
// that extends others, the one that was changed last.
func (srv *server) whoSaved(tenant string, c candidate) history.Who {
	t, _ := srv.config.Tenant(tenant)
	path, isFile := srv.config.PolicyFile(t.Policy)
	if source.IsRemote(t.Policy) {
		return history.Who{By: "source", Signers: c.proof.Signers}
	}
	if !isFile {
		return history.Who{By: "configuration"}
	}
	who := history.Who{By: "file", Signers: c.proof.Signers}
	for _, file := range append([]string{path}, source.Bases(path)...) {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		if changed := info.ModTime().UTC().Round(time.Millisecond); who.Changed == nil || changed.After(*who.Changed) {
			who.Owner, who.Changed = ownerOf(info), &changed
		}
	}
	return who
}

// An entryRef refers to an entry of the history; the zero entryRef, to one that is not written. It
// is logged, so that a log kept elsewhere shows a history that was cut or replaced.
type entryRef struct {
	number uint64
	head   string // the first digits of the SHA-256 of its line
}

// attr returns the reference as attributes of a log line.
func (e entryRef) attr() slog.Attr { return slog.Group("", "history", e.number, "head", e.head) }

// present refers to the last entry, also if that is about another tenant: all share one chain.
func (srv *server) present() entryRef {
	p := srv.records.Position()
	return entryRef{p.Number, p.Sum[:min(len(p.Sum), 16)]}
}

// record writes an entry about a tenant, with the files that a rollback needs. What cannot be written
// is logged, counted as unsaved, and tried again later; it stops no release.
func (srv *server) record(e history.Entry, r history.Receipt, files ...[]byte) entryRef {
	written, err := srv.records.Append(e, r, files...)
	srv.warnHistory(err)
	srv.warnDamage()
	if err != nil {
		return entryRef{}
	}
	p := srv.present()
	if p.number != written.Number { // another process has written since
		p = entryRef{number: written.Number}
	}
	return p
}

// recordInForce writes that the tenant's policy is in force without stages, if it is not the one
// that the history has already. It refers to the last entry. before is the generation
// before it; nil if there was none. by caused that; without a name, the files did.
func (srv *server) recordInForce(tenant string, s *served, before *policy.Generation, by history.Who) entryRef {
	now, files := recordOf(s.policy)
	was := srv.records.State(tenant)
	if s.policy.isHeldBack() || was.InForce != nil && was.InForce.Identity == now.Identity {
		return srv.present()
	}
	e := history.Entry{Kind: history.AtOnce, Tenant: tenant, From: was.InForce, To: &now, Who: by}
	if s.policy.drift == driftLost {
		e.Lost, e.Reason = true, "the policy that was in force is gone from releases.state"
	}
	if was.InForce == nil {
		e.Kind = history.Initial
	}
	if e.Who.By == "" {
		e.Who = srv.whoSaved(tenant, s.policy)
	}
	return srv.record(e, s.receipt(before), files...)
}

// receipt returns what the server knows about a change to the policy in force, by which somebody can
// judge later what it did: the routes before and after, and the tenant's counts. before is the
// generation before it; nil if there was none. All counts are of one moment, so that they add up
// while traffic continues.
func (s *served) receipt(before *policy.Generation) history.Receipt {
	g := s.active.Acquire()
	defer g.Release()
	r := history.Receipt{After: Summary(g), Sums: new(history.Sums)}
	if before != nil {
		r.Before = Summary(before)
	}
	c := s.tenant.Hub().Counts()
	r.Sums.Received, r.Sums.Underway, r.Sums.Due, r.Sums.Delivered, r.Sums.Pending = c.Received, c.Underway, c.Due, c.Delivered, c.Pending
	for _, n := range c.Actions {
		r.Sums.Accepted += n
	}
	for _, n := range c.Dropped {
		r.Sums.Dropped += n
	}
	for _, n := range c.Discarded {
		r.Sums.Discarded += n
	}
	r.Sums.Balance()
	return r
}

// recordRefused writes that a policy was refused, and why. The candidate may be a file that could not
// even be read, of which only the name is known.
func (srv *server) recordRefused(t config.Tenant, found candidate, err error) {
	to, _ := recordOf(found)
	if to.Name == "" { // it could not be read
		to = history.Policy{Name: t.Policy}
	}
	const most = 4 << 10
	srv.record(history.Entry{Kind: history.Refused, Tenant: t.Name, From: srv.records.State(t.Name).InForce, To: &to,
		Who: srv.whoSaved(t.Name, found), Reason: sanitize.Cut(err.Error(), most)}, history.Receipt{})
}

// Why the policy in force is not the one that belongs there.
const (
	driftRolledBack = "rolled-back" // the one that the configuration names was rolled back
	driftKilled     = "killed"      // the one that the configuration names was killed
	driftLost       = "lost"        // it is the one that the configuration names, and the one to compare it with was lost
)

// isHeldBack reports whether the policy is in force instead of the one that the configuration names.
func (c *candidate) isHeldBack() bool { return c.drift == driftRolledBack || c.drift == driftKilled }

// findWanted finds the policy that belongs in force for a tenant that is not served yet.
func (srv *server) findWanted(checker *trust.Checker, t config.Tenant) (candidate, error) {
	return srv.wanted(checker, t, nil)
}

// wanted finds the policy that belongs in force for a tenant: the one that the configuration names,
// unless that was rolled back or killed. s is nil for a tenant that is not served yet. The first
// that applies decides:
//
//	killed                                           the shipped policy
//	at the start or after a kill, in stages, and     the one that was in force; the release
//	the configuration names another                  of the other begins after that
//	the configuration's policy was not rolled back   that, or why it cannot be read
//	what was in force is still loaded                that
//	its file is kept by the history                  that
//	else, at the start                               the configuration's, with an error in the log
func (srv *server) wanted(checker *trust.Checker, t config.Tenant, s *served) (candidate, error) {
	was := srv.records.State(t.Name)
	if was.Killed {
		return shippedPolicy(t)
	}
	found, err := findPolicy(checker, t)
	if isUnreached(err) {
		found, err = srv.kept(checker, t, s, was, err)
	}
	record, _ := recordOf(found)
	// In stages, another policy than the last one must be compared with that, so that comes into
	// force first.
	if err == nil && isOutOfForce(s) && was.InForce != nil && !record.Same(was.InForce) && !atOnce(t) {
		stable, gone := srv.earlier(checker, t, was.InForce)
		if gone == nil {
			stable.drift, stable.kept = lostIf(was.Lost), found.kept
			return stable, nil // the release begins, or continues, when that is in force
		}
		if !was.Holds(&record) {
			found.drift = driftLost
			srv.log.Error("the policy in force is gone from releases.state; the configured one comes into force without a release", "tenant", t.Name, "policy", t.Policy, "error", gone)
		}
	}
	if err == nil && (was.Lost && record.Same(was.InForce) || s == nil && srv.hasLost(was, t)) {
		found.drift = driftLost
	}
	// From here on, what the configuration names was rolled back.
	if err != nil || !was.Holds(&record) || was.InForce == nil {
		return found, err
	}
	if s != nil {
		if now, _ := recordOf(s.policy); now.Same(was.InForce) {
			want := s.policy
			want.effects, want.may, want.groups, want.drift = found.effects, found.may, found.groups, driftRolledBack
			return want, nil
		}
	}
	want, err := srv.earlier(checker, t, was.InForce)
	if err != nil && s == nil {
		srv.log.Error("the policy before a rollback is gone; the one that was rolled back comes into force", "tenant", t.Name, "policy", t.Policy, "error", err)
		found.drift = driftLost
		return found, nil
	}
	return want, err
}

// lostIf returns the drift of a policy that is in force because the one before was lost, if it
// was.
func lostIf(lost bool) string {
	if lost {
		return driftLost
	}
	return ""
}

// hasLost reports whether the tenant may have had a policy in force of which a damaged history says
// nothing now.
func (srv *server) hasLost(was history.Tenant, t config.Tenant) bool {
	return was.InForce == nil && !atOnce(t) && srv.records.Position().Damaged != nil
}

// isOutOfForce reports whether no policy of the tenant's own is in force: at the start and after a
// kill.
func isOutOfForce(s *served) bool { return s == nil || s.policy.drift == driftKilled }

// isWanted reports whether a policy that wanted returned before it was loaded still belongs in
// force.
func (srv *server) isWanted(tenant string, c candidate) bool {
	was := srv.records.State(tenant)
	record, _ := recordOf(c)
	switch {
	case was.Killed || c.drift == driftKilled:
		return was.Killed && c.drift == driftKilled
	case c.drift == driftRolledBack:
		return record.Same(was.InForce)
	}
	return !was.Holds(&record)
}

// shippedPolicy returns the policy that routes as the original does, for a kill. It is part of the
// program, so a kill needs neither a file nor an address nor the history.
func shippedPolicy(t config.Tenant) (candidate, error) {
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.drift = driftKilled
	f, err := source.Read(teamtalk.Name, "", 0)
	if err == nil {
		c.Module, err = f.Module()
	}
	return c, err
}

// earlier returns a policy that was in force before, from the history's files.
func (srv *server) earlier(checker *trust.Checker, t config.Tenant, p *history.Policy) (candidate, error) {
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.drift = driftRolledBack
	f, signature, err := srv.earlierFiles(p)
	if err != nil {
		return candidate{}, err
	}
	if p.Config != "" {
		if c.config, err = srv.records.Content(p.Config); err != nil {
			return candidate{}, fmt.Errorf("configuration of policy %s: %w", p.Short(), err)
		}
	}
	c.Module, c.proof, err = checker.Earlier(f, signature, p.Version, t)
	return c, err
}

// earlierFiles returns the file of a policy that was in force before, and its signature, which may be
// nil. Both are checked against their SHA-256 when they are read.
func (srv *server) earlierFiles(p *history.Policy) (f source.File, signature []byte, err error) {
	if f, err = srv.earlierFile(p); err != nil {
		return f, nil, fmt.Errorf("policy %s: %w", p.Short(), err)
	}
	if p.Signature != "" {
		if signature, err = srv.records.Content(p.Signature); err != nil {
			return f, nil, fmt.Errorf("signature of policy %s: %w", p.Short(), err)
		}
	}
	return f, signature, nil
}

// earlierFile returns the file of a policy that was in force before. A shipped policy is a file as
// any other if this program has another of its name.
func (srv *server) earlierFile(p *history.Policy) (source.File, error) {
	path, isFile := srv.config.PolicyFile(p.Name)
	if !isFile {
		if f, err := source.Read(p.Name, "", 0); err == nil && f.SHA256 == p.SHA256 {
			return f, nil
		}
		path = filepath.Base(p.Name) + ".wasm"
	}
	content, err := srv.records.Content(p.SHA256)
	if source.IsRemote(p.Name) {
		f := source.Remote(p.Name, content)
		f.Revision = p.Revision
		return f, err
	}
	return source.File{Name: p.Name, Path: path, Bytes: content, SHA256: p.SHA256}, err
}

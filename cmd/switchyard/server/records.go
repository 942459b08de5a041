package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"switchyard/plugins/source"
	"switchyard/policy"
	"switchyard/policy/provenance"
	"switchyard/policy/release/history"
	"switchyard/policy/sanitize"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
)

// records is the history of policies that were in force, with what was logged about it.
type records struct {
	*history.History
	log     *slog.Logger
	warning string         // why the history cannot be written; "" if it can
	damage  *history.Fault // that was logged last
}

// newRecords returns records in memory, for a server that has not opened its own yet.
func newRecords() *records {
	return &records{History: newHistory(), log: slog.New(slog.DiscardHandler)}
}

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
	srv.records = &records{History: h, log: srv.log}
	srv.state.records.Store(h)
	srv.records.warn(errors.Join(warning, failed))
	srv.records.warnDamage()
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

// newHistory returns a history in memory. Its methods work, so no caller has to check whether a history
// is open.
func newHistory() *history.History {
	h, _ := history.Open("", 1, nil) // which cannot fail without a folder
	return h
}

// warnDamage logs damage that was found since it was called last.
func (r *records) warnDamage() {
	damage := r.Position().Damaged
	if damage != nil && (r.damage == nil || *damage != *r.damage) {
		r.log.Error("the history of policies is damaged; the file is kept, and another one begins", "file", damage.File, "line", damage.Line, "error", damage.Problem)
	}
	r.damage = damage
}

// warn logs once that the history cannot be written, and forgets that when it can.
func (r *records) warn(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != r.warning {
		r.log.Warn("the history of policies is kept in memory only", "error", err)
	}
	r.warning = text
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
func (r *records) present() entryRef {
	p := r.Position()
	return entryRef{p.Number, p.Sum[:min(len(p.Sum), 16)]}
}

// write writes an entry about a tenant, with the files that a rollback needs. What cannot be written
// is logged, counted as unsaved, and tried again later; it stops no release.
func (r *records) write(e history.Entry, about history.Receipt, files ...[]byte) entryRef {
	written, err := r.Append(e, about, files...)
	r.warn(err)
	r.warnDamage()
	if err != nil {
		return entryRef{}
	}
	p := r.present()
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
		return srv.records.present()
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
	return srv.records.write(e, s.receipt(before), files...)
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
	r.Sums.Accepted, r.Sums.Dropped, r.Sums.Discarded = hub.Sum(c.Actions), hub.Sum(c.Dropped), hub.Sum(c.Discarded)
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
	srv.records.write(history.Entry{Kind: history.Refused, Tenant: t.Name, From: srv.records.State(t.Name).InForce, To: &to,
		Who: srv.whoSaved(t.Name, found), Reason: sanitize.Cut(err.Error(), most)}, history.Receipt{})
}

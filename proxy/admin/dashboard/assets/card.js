// The card of one tenant's policy: how far its release is, what it uses of its budgets, buttons
// for operators, and the last receipts.
import { facts, form } from './answer.js';
import { ask } from './api.js';
import { Table } from './table.js';
import { count, hide, long, make, moment, name, number, seconds, short, show, write } from './text.js';

const percent = (share) => `${Number((100 * number(share)).toPrecision(3))} %`;
const signed = (share) => `${number(share) < 0 ? '−' : '+'}${percent(Math.abs(number(share)))}`;
const policy = (p) => (p ? `${p.version ? `v${p.version} ` : ''}${short(p.sha256)}` : 'none');
const stepName = (s) => (s.state === 'stage' ? percent(s.share) : s.state);

// used describes a budget: undelivered 0.02 % of 0.1 %.
function used(b) {
  if (b.budget === 'fuel') return `${count(b.used)} of ${count(b.allowed)} units`;
  const format = b.budget === 'copies' || b.budget === 'bytes' ? signed : percent;
  return `${format(b.used)} of ${format(b.allowed)}`;
}

// headline says in one line what is in force and what is under way.
function headline(r) {
  const inForce = r.killed ? `The shipped policy is in force; ${policy(r.in_force)} is back after revive` : `In force ${policy(r.in_force)}`;
  if (!r.stage) return `${inForce}.`;
  const s = r.stage;
  const where = s.state === 'stage' ? `obeyed for ${percent(s.effective)}` : s.state === 'bake' ? 'obeyed for all, and still compared' : 'compared, and obeyed for nobody';
  return `${inForce}. Release ${r.release}: ${policy(s.candidate)} is ${where}.`;
}

// next says what the present step waits for.
function next(r) {
  const s = r.stage;
  if (s.paused) return `Paused: ${s.reason}`;
  const to = s.steps[s.step + 1] ? stepName(s.steps[s.step + 1]) : 'done';
  if (r.mode === 'manual') return `${to} after promote`;
  const wants = [];
  if (s.hold_seconds > s.held_seconds) wants.push(seconds(s.hold_seconds - s.held_seconds));
  if (s.sample > s.weighed) wants.push(`${count(s.sample - s.weighed)} more weighed PDUs`);
  if (to === 'bake' && s.state === 'stage' && s.sample && !s.by_candidate) wants.push('a PDU that is obeyed as the candidate');
  return `${to} ${wants.length ? `after ${wants.join(' and ')}` : 'now'}`;
}

// untried says why the candidate is obeyed about no PDU although the stage has a share.
function untried(s) {
  if (s.state !== 'stage' || s.by_candidate || !s.next_unit_at) return '';
  return `No user or peer that sent an affected PDU is in the share of ${percent(s.effective)}; the first one is above ${percent(s.next_unit_at)}. Wait for others, or promote.`;
}

// auditText says what the audited policy would have done; all, since its audit began.
function auditText(a) {
  const total = (field, unit) => (a.rows ?? []).reduce((n, row) => n + number(unit ? row[field]?.[unit] : row[field]), 0);
  return `${a.policy.name} ${short(a.policy.sha256)}: ${count(total('pdus'))} PDUs; copies ${count(total('audited', 'pdus'))} instead of ${count(total('sent', 'pdus'))}, `
    + `${count(total('useless', 'pdus'))} useless, ${count(total('missed', 'pdus'))} missed; ${count(total('faults'))} faults`;
}

// peersText says that peers announced their users to a policy that handled presence otherwise.
function peersText(r) {
  return r.reconnecting ? `${count(r.outdated_peers)} have yet to be closed, one per second, so that they reconnect`
    : `${count(r.outdated_peers)} announced their users to a policy that handled presence otherwise; let them reconnect with 'switchyard policy rollback --reconnect'`;
}

// pairs returns the facts of a card.
function pairs(r, audit) {
  const all = [];
  if (r.drift === 'lost') all.push(['In force', "without a release, as the previous policy was lost; accept it with 'switchyard policy retry'", 'wrong']);
  else if (r.drift) all.push(['Not as configured', r.drift, 'wrong']);
  if (r.refused) all.push(['Refused', r.refused, 'wrong']);
  if (r.held.length) all.push(['Held back', r.held.map(policy).join(', ')]);
  if (r.outdated_peers) all.push(['Peers', peersText(r), 'wrong']);
  if (r.stage) {
    const s = r.stage;
    const c = s.counts;
    all.push(['Next', next(r), s.paused ? 'wrong' : '']);
    all.push(['Weighed', `${count(s.weighed)} PDUs in this stage; ${count(c.pdus - c.unweighed)} in all, ${count(c.unweighed)} not compared`]);
    all.push(['Obeyed', `${count(s.alike)} PDUs alike, ${count(s.by_stable)} as the stable policy, ${count(s.by_candidate)} as the candidate`]);
    if (untried(s)) all.push(['Untried', untried(s)]);
    all.push(['Affects', s.commands.join(', ') || 'none']);
    all.push(['Unseen', s.unseen.join(', ') || 'none']);
  }
  if (audit) all.push(['Audit', auditText(audit)]);
  return all;
}

const verbs = [
  { verb: 'promote', title: 'Promote', help: 'The next step, now. Budgets still hold.', offered: (r) => r.stage },
  { verb: 'pause', title: 'Pause', help: 'The share stays, and the time stops. Budgets still hold.', offered: (r) => r.stage && !r.stage.paused },
  { verb: 'resume', title: 'Resume', help: 'The time continues.', offered: (r) => r.stage?.paused },
  { verb: 'rollback', title: 'Roll back', help: 'The previous policy is in force again, at once.', offered: (r) => !r.killed && (r.stage || r.previous.length) },
  { verb: 'retry', title: 'Retry', help: 'What was rolled back is let in again, and what the configuration names is loaded.', offered: (r) => !r.killed && r.held.length },
  { verb: 'kill', title: 'Kill', help: 'The shipped policy is in force at once, and stays so until revive.', offered: (r) => !r.killed },
  { verb: 'revive', title: 'Revive', help: 'What the configuration names is in force again.', offered: (r) => r.killed },
];

// A Card is one tenant's. changed is called after an operator has changed something.
export class Card {
  #tenant;
  #changed;
  #release = null; // as shown
  #asked = null; // the verb that the form is about, with the release that was shown then
  #headline = make('p', { class: 'headline' });
  #steps = make('ol', { class: 'steps', 'aria-label': 'Steps of the release' });
  #budgets = make('ul', { class: 'budgets', 'aria-label': 'Budgets' });
  #facts = make('div');
  #shownFacts = '';
  #buttons = new Map(); // by verb
  #confirm;
  #answer = make('div', { class: 'answer', role: 'status', 'aria-live': 'polite' });
  #receipts;
  #receipt = make('pre', { class: 'receipt', hidden: true, tabindex: 0 });

  constructor(tenant, changed) {
    this.#tenant = tenant;
    this.#changed = changed;
    const buttons = make('div', { class: 'buttons' });
    for (const v of verbs) {
      const button = make('button', { type: 'button', class: `verb-${v.verb}`, title: v.help }, v.title);
      button.addEventListener('click', () => this.#ask(v));
      this.#buttons.set(v.verb, button);
      buttons.append(button);
    }
    this.#confirm = this.#form();
    const receipts = make('div', { class: 'receipts' });
    this.node = make('article', { class: 'card' }, write(make('h3'), tenant, '', name), this.#headline, this.#steps, this.#budgets, this.#facts, buttons,
      this.#confirm.place, this.#answer, make('h4', {}, 'Last receipts'), receipts, this.#receipt);
    this.#receipts = new Table(receipts, { label: 'Last receipts', columns: this.#columns(), key: (e) => String(e.n), empty: 'There is no receipt yet.', classes: (e) => (e.kind === 'rolled-back' || e.kind === 'kill' ? 'warn' : '') });
  }

  // form makes the form that confirms a verb.
  #form() {
    const text = make('p');
    const reason = make('input', { maxlength: 300, autocomplete: 'off', 'aria-label': 'Reason, for the history', placeholder: 'reason, for the history' });
    const submit = make('button', { type: 'submit' }, 'Confirm');
    const cancel = make('button', { type: 'button' }, 'Cancel');
    const place = make('form', { class: 'confirm', hidden: true, autocomplete: 'off' }, text, reason, submit, cancel);
    cancel.addEventListener('click', () => this.#close());
    place.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') this.#close();
    });
    form(place, this.#answer, async () => {
      const { v, release } = this.#asked;
      const body = JSON.stringify({ tenant: this.#tenant, release, reason: reason.value });
      try {
        await ask(`/api/v1/releases/${v.verb}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }, 60000);
      } catch (e) {
        if (e.status === 401 || e.status === 403) throw new Error(`${v.title} needs the operate token: ${e.message}`);
        throw e;
      } finally {
        this.#changed();
      }
      this.#close();
      return [write(make('p'), `${v.title}: done.`)];
    });
    return { place, text, reason, submit };
  }

  // ask opens the form. The verb is about the release as it is shown now: if another one is there
  // when it is sent, the server refuses it.
  #ask(v) {
    this.#asked = { v, release: this.#release.release };
    write(this.#confirm.text, `${v.title} the policy of tenant ${this.#tenant}? ${v.help}`, '', long);
    write(this.#confirm.submit, v.title);
    this.#confirm.reason.value = '';
    this.#answer.replaceChildren();
    hide(this.#confirm.place, false);
    this.#confirm.reason.focus();
  }

  #close() {
    hide(this.#confirm.place, true);
    this.#buttons.get(this.#asked.v.verb).focus();
  }

  #columns() {
    return [
      { title: 'When', width: 'when', cell: (td, e) => write(td, moment(e.time)) },
      { title: 'Result', cell: (td, e) => write(td, e.kind) },
      { title: 'From', width: 'hash', cell: (td, e) => write(td, policy(e.from), e.from?.sha256) },
      { title: 'To', width: 'hash', cell: (td, e) => write(td, policy(e.to), e.to?.sha256) },
      { title: 'Who', cell: (td, e) => write(td, [e.who.by, ...(e.who.signers ?? [])].filter(Boolean).join(', '), e.who.owner ? `file of user ${e.who.owner}` : '', name) },
      { title: 'Reason', width: 'long', cell: (td, e) => write(td, e.reason, '', long) },
      { title: 'Receipt', cell: (td, e) => this.#receiptCell(td, e) },
    ];
  }

  #receiptCell(td, e) {
    let button = td.firstElementChild;
    if (!button) {
      button = make('button', { type: 'button', class: 'link' });
      button.addEventListener('click', () => this.#showReceipt(Number(button.dataset.release)));
      td.append(button);
    }
    button.dataset.release = String(e.release);
    write(button, String(e.release), 'Show the receipt');
  }

  async #showReceipt(release) {
    let text;
    try {
      const answer = await ask('/api/v1/releases/receipt', { query: { release } });
      text = JSON.stringify(answer.statement, null, 1);
    } catch (e) {
      text = e.message;
    }
    show(this.#receipt, text);
    hide(this.#receipt, false);
  }

  // show displays the state of the tenant's policy, its last entries with a receipt, and its audit.
  show(release, receipts, audit) {
    this.#release = release;
    write(this.#headline, headline(release), '', long);
    this.#showSteps(release.stage);
    this.#showBudgets(release.stage?.budgets ?? []);
    const wanted = pairs(release, audit);
    if (JSON.stringify(wanted) !== this.#shownFacts) { // otherwise, a selection would be lost
      this.#shownFacts = JSON.stringify(wanted);
      this.#facts.replaceChildren(facts(wanted));
    }
    for (const v of verbs) hide(this.#buttons.get(v.verb), !v.offered(release));
    this.#receipts.update(receipts);
  }

  #showSteps(stage) {
    const steps = stage?.steps ?? [];
    hide(this.#steps, steps.length === 0);
    while (this.#steps.children.length > steps.length) this.#steps.lastChild.remove();
    while (this.#steps.children.length < steps.length) this.#steps.append(make('li'));
    steps.forEach((s, i) => {
      const li = this.#steps.children[i];
      const present = i === stage.step;
      li.className = present ? 'now' : i < stage.step ? 'past' : '';
      if (present) li.setAttribute('aria-current', 'step');
      else li.removeAttribute('aria-current');
      write(li, `${present ? (stage.paused ? '‖ ' : '▶ ') : i < stage.step ? '✓ ' : ''}${stepName(s)}`);
    });
  }

  #showBudgets(budgets) {
    hide(this.#budgets, budgets.length === 0);
    while (this.#budgets.children.length > budgets.length) this.#budgets.lastChild.remove();
    while (this.#budgets.children.length < budgets.length) {
      this.#budgets.append(make('li', {}, make('span', { class: 'name' }), make('meter', { min: 0, max: 1, high: 0.8, optimum: 0 }), make('span', { class: 'value' })));
    }
    budgets.forEach((b, i) => {
      const [title, bar, value] = this.#budgets.children[i].children;
      write(title, b.budget);
      write(value, used(b));
      bar.value = Math.min(1, number(b.ratio));
      bar.setAttribute('aria-label', `${b.budget}, used of allowed`);
    });
  }
}

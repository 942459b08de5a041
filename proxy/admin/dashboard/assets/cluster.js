// What this hub is among the hubs that act as one: a card for each tenant, with the members, and
// a notice while a hub is not together with the others. Without a cluster there is nothing to see.
import { facts } from './answer.js';
import { Table } from './table.js';
import { announce, chosen, onUpdate } from './state.js';
import { bytes, count, hide, long, make, name, number, reasons, seconds, short, write } from './text.js';

const byId = (id) => document.getElementById(id);

// notices say what a state means for peers. A hub that enters is not served yet, or lags.
const notices = new Map([
  ['alone', (c) => `Alone: tenant ${c.tenant} does not reach the other hubs. Only the peers of this hub reach each other, and the users of others are offline to them.`],
  ['waiting', (c) => `Waiting: the cluster of tenant ${c.tenant} has not answered for ${seconds(c.quiet_seconds)}. Messages are kept until it does.`],
  ['entering', (c) => `Entering: tenant ${c.tenant} does not have the state of the other hubs${c.why ? ` (${c.why})` : ''}.`],
]);

const membersOf = (c) => c.members ?? [];
const policiesOf = (m) => m?.policies ?? [];
const own = (c) => policiesOf(membersOf(c).find((m) => m.hub === c.hub));

// differs reports whether a member has no policy in common with this hub.
const differs = (c, m) => own(c).length > 0 && policiesOf(m).length > 0 && !policiesOf(m).some((p) => own(c).includes(p));

// headline says the state in one line.
function headline(c) {
  const n = membersOf(c).length;
  const at = n > 0 ? `, ${n} ${n === 1 ? 'member' : 'members'}, position ${number(c.position?.sequence)}` : '';
  return `Hub ${c.hub}: ${c.state}${at}.`;
}

const times = (n) => (n === 1 ? 'once' : `${count(n)} times`);

// pairs returns the facts of a card; what needs attention is marked.
function pairs(c) {
  const all = [['Under way', `${count(c.underway_records)} records, ${bytes(c.underway_bytes)}${c.underway_records ? `, the oldest for ${seconds(c.underway_seconds)}` : ''}`]];
  all.push(['Table', c.table_sum]);
  all.push(['Entered', reasons(c.entered) || 'not yet']);
  if (c.policy_mismatches) all.push(['Policies', `${count(c.policy_mismatches)} ${c.policy_mismatches === 1 ? 'member judges' : 'members judge'} by other policies than this hub`, 'wrong']);
  if (c.table_mismatches) all.push(['Tables', `differed ${times(c.table_mismatches)}`, 'wrong']);
  if (reasons(c.fell_out)) all.push(['Fell out', reasons(c.fell_out)]);
  if (c.alone) all.push(['Went on alone', times(c.alone)]);
  if (c.gone) all.push(['Others left', times(c.gone)]);
  return all;
}

// A Card displays one tenant. Rows of its table know the tenant they belong to.
class Card {
  #headline = make('p', { class: 'headline' });
  #facts = make('div');
  #shown = '';
  #table;

  constructor(tenant) {
    const members = make('div');
    this.node = make('article', { class: 'card' }, write(make('h3'), tenant, '', name), this.#headline, members, this.#facts);
    this.#table = new Table(members, {
      label: `Members of tenant ${tenant}`, key: (m) => String(m.hub), empty: 'This hub is not a member now.', sorted: { column: 'Hub', descending: false },
      classes: (m) => (differs(m.of, m) ? 'warn' : m.hub === m.of.hub ? 'chosen' : ''),
      columns: [
        { title: 'Hub', width: 'w6', sort: (m) => m.hub, cell: (td, m) => write(td, `${m.hub}${m.hub === m.of.hub ? ' (this hub)' : ''}`) },
        { title: 'Name', width: 'name', sort: (m) => m.name, cell: (td, m) => write(td, m.name, '', name) },
        { title: 'State', cell: (td, m) => write(td, m.ready ? 'member' : 'entering') },
        { title: 'Next record', number: true, width: 'w8', cell: (td, m) => write(td, String(number(m.next))) },
        { title: 'Heard', number: true, width: 'w8', cell: (td, m) => write(td, `${number(m.heard_seconds).toFixed(0)} s ago`) },
        { title: 'Table checked at', number: true, width: 'w8', cell: (td, m) => write(td, m.table_position ? String(m.table_position) : '–', m.table_sum) },
        { title: 'Policies', width: 'hash', cell: (td, m) => write(td, `${policiesOf(m).map(short).join(', ')}${differs(m.of, m) ? ' differs' : ''}`, policiesOf(m).join(' ')) },
      ],
    });
  }

  show(c) {
    write(this.#headline, headline(c));
    this.#headline.className = c.state === 'together' ? 'headline' : 'headline wrong';
    const wanted = pairs(c);
    if (JSON.stringify(wanted) !== this.#shown) { // otherwise, a selection would be lost
      this.#shown = JSON.stringify(wanted);
      this.#facts.replaceChildren(facts(wanted));
    }
    this.#table.update(membersOf(c).map((m) => ({ ...m, of: c })));
  }
}

// cluster displays the part of the page.
export function cluster() {
  const cards = new Map(); // Card by tenant
  const states = new Map(); // by tenant, as of the last snapshot
  onUpdate(() => {
    const all = chosen().map((t) => t.cluster).filter(Boolean);
    for (const c of all) {
      if (states.has(c.tenant) && states.get(c.tenant) !== c.state) announce(`Tenant ${c.tenant} is ${c.state}.`);
      states.set(c.tenant, c.state);
    }
    if (document.hidden) return;
    hide(byId('cluster'), all.length === 0);
    hide(byId('cluster-link'), all.length === 0);
    const troubles = all.map((c) => notices.get(c.state)?.(c)).filter(Boolean);
    hide(write(byId('cluster-notice'), troubles.join(' '), '', long), troubles.length === 0);
    byId('cluster-notice').classList.toggle('bad', all.some((c) => c.state === 'alone'));
    for (const [tenant, card] of cards) {
      if (all.some((c) => c.tenant === tenant)) continue;
      card.node.remove();
      cards.delete(tenant);
    }
    for (const c of all) {
      if (!cards.has(c.tenant)) {
        cards.set(c.tenant, new Card(c.tenant));
        byId('cluster-cards').append(cards.get(c.tenant).node);
      }
      cards.get(c.tenant).show(c);
    }
  });
}

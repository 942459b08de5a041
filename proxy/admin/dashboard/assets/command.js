// The view of one command: what the policy decides and where that is written, its traffic, what an
// audited policy would do with it, and the fields of its body.
import { facts } from './answer.js';
import { ask } from './api.js';
import { poll } from './poll.js';
import { state } from './state.js';
import { Table } from './table.js';
import { bytes, count, id as hex, make, number, rate, reasons, write } from './text.js';

const every = 30000;
const decided = new Map([['constant', 'by its id: the policy is asked once'], ['inspect', 'by header and sender, for each PDU'], ['inspect_body', 'by the body, for each PDU']]);

const servicesOf = (r) => `${(r.services ?? []).join(', ')}${r.except?.length ? ` except ${r.except.join(', ')}` : ''}`;

// ruleOf describes one row of the routing table.
function ruleOf(r, several) {
  const d = r.decision ?? {};
  const all = [['Verdict', `${d.verdict}${several ? ` (service ${servicesOf(r)})` : ''}`]];
  all.push(['Decided', decided.get(d.decided) ?? d.decided]);
  all.push(['Written in', (d.sources ?? []).join(', ') || (r.alike ? 'no rule of its own: as unknown commands' : 'not known: the policy is not a table')]);
  if (d.fields?.length) all.push(['Receivers by', d.fields.join(', ')]);
  if (d.flags?.length) all.push(['Flags', d.flags.join(', ')]);
  if (d.fault) all.push(['Fault', d.fault, 'wrong']);
  return all;
}

const caseColumns = [
  { title: 'If', width: 'name', cell: (td, c) => write(td, c.if) },
  { title: 'Verdict', width: 'verdict', cell: (td, c) => write(td, c.verdict) },
  { title: 'Written in', cell: (td, c) => write(td, c.source) },
];
const fieldColumns = [
  { title: 'Field', width: 'name', cell: (td, f) => write(td, f.name) },
  { title: 'Number', number: true, width: 'w6', cell: (td, f) => write(td, String(f.number)) },
  { title: 'Type', cell: (td, f) => write(td, `${f.repeated ? 'list of ' : ''}${f.type}${f.required ? ', required' : ''}`) },
  { title: 'Values', width: 'long', cell: (td, f) => write(td, Object.entries(f.values ?? {}).map(([name, n]) => `${name} = ${n}`).join(', ')) },
];

// command displays the view of a command, which view.id has by its id in hex, or else.
export function command(view, place, signal) {
  const id = Number(view.id);
  const rules = make('div');
  const traffic = make('div');
  const wrong = make('p', { class: 'wrong' });
  const body = make('div');
  const tryIt = make('button', { type: 'button' }, 'Evaluate one');
  place.append(rules, wrong, make('h3', {}, 'Traffic'), traffic, ...(Number.isInteger(id) ? [make('p', { class: 'buttons' }, tryIt), make('h3', {}, 'Body'), body] : []));
  let title = view.id;
  tryIt.addEventListener('click', () => {
    document.getElementById('evaluate-tenant').value = view.tenant;
    document.getElementById('evaluate-command').value = title;
    document.getElementById('evaluate-command').dispatchEvent(new Event('change'));
    location.hash = '#try';
  });
  const fits = (r) => (Number.isInteger(id) ? number(r.first) <= id && id <= number(r.last) && (r.known || r.command !== 'else') : !r.known && r.command === 'else');
  let policy = '';
  const again = poll(every, async () => {
    const answer = await ask('/api/v1/routes', { query: { tenant: view.tenant } });
    if (signal.aborted) return;
    policy = answer.policy?.sha256;
    let rows = (answer.routes ?? []).filter(fits);
    if (!rows.length) rows = (answer.routes ?? []).filter((r) => !r.known && r.command === 'else');
    rules.replaceChildren(...rows.flatMap((r) => {
      const cases = r.decision?.cases ?? [];
      if (!cases.length) return [facts(ruleOf(r, rows.length > 1))];
      const at = make('div');
      new Table(at, { label: 'Cases', columns: caseColumns, key: (c) => c.source + c.if, empty: '' }).update(cases);
      return [facts(ruleOf(r, rows.length > 1)), make('p', { class: 'note' }, 'The first case that holds decides:'), at];
    }));
  }, (text) => write(wrong, text), signal);
  again();
  if (Number.isInteger(id)) showBody(id, body, (name) => { title = name; });
  return {
    title: `Command ${view.id === 'else' ? 'else: all without a row' : hex(id)} of ${view.tenant}`, part: 'routes',
    show: (changed) => {
      if (changed.includes('live')) again();
      write(document.getElementById('view-title'), `Command ${title} of ${view.tenant}`, '', 128);
      const t = state.snapshot?.tenants?.find((one) => one.tenant === view.tenant);
      if (!t) return;
      if (policy && policy !== t.policy?.sha256) {
        policy = '';
        again();
      }
      showTraffic(traffic, t, id, title);
    },
  };
}

// showBody displays the fields of the command's body, and tells its name.
async function showBody(id, place, onName) {
  try {
    const c = await ask('/api/v1/command', { query: { command: hex(id) } });
    onName(c.command);
    const at = make('div');
    place.replaceChildren(make('p', { class: 'note' }, c.message ? `${c.message}, service ${c.service}` : 'Its body is not known.'), at);
    if (c.fields?.length) new Table(at, { label: 'Fields of the body', columns: fieldColumns, key: (f) => f.name, empty: '' }).update(c.fields);
  } catch (e) {
    place.replaceChildren(write(make('p', { class: 'wrong' }), e.message));
  }
}

// showTraffic displays what peers have sent of the command, and the audit of it.
function showTraffic(place, t, id, title) {
  const c = (t.commands ?? []).find((one) => (Number.isInteger(id) ? number(one.id) === id && one.command !== 'other' : one.command === 'other'));
  const all = c ? [['Rate', `${rate(c.rate)}/s`], ['So far', `${count(c.pdus)} PDUs, ${bytes(c.bytes)}`], ['Actions', reasons(c.actions) || 'none']] : [['So far', 'none']];
  const audited = state.known.get(t.tenant)?.audit;
  const row = audited?.rows?.find((r) => r.command === title);
  if (row) all.push(['Audit', `${audited.policy.name} would send ${count(row.audited?.pdus)} PDUs out instead of ${count(row.sent?.pdus)}: ${count(row.useless?.pdus)} useless, ${count(row.missed?.pdus)} missed, ${count(row.faults)} faults`]);
  const wanted = JSON.stringify(all);
  if (place.dataset.shown === wanted) return;
  place.dataset.shown = wanted;
  place.replaceChildren(facts(all));
}

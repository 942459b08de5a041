// What policies that are audited would have done, command by command. Without an audit there is
// nothing to see.
import { chosen, onUpdate, several, state } from './state.js';
import { Table } from './table.js';
import { bytes, count, hide, long, name, number, short, write } from './text.js';

const byId = (id) => document.getElementById(id);
const copies = (title, field) => ({ title, number: true, width: 'w8', first: 'descending', sort: (r) => number(r[field]?.pdus), cell: (td, r) => write(td, count(r[field]?.pdus), bytes(r[field]?.bytes)) });

const columns = [
  { title: 'Command', width: 'command', sort: (r) => r.command, cell: (td, r) => write(td, r.command, '', name) },
  { title: 'Tenant', sort: (r) => r.tenant, cell: (td, r) => write(td, r.tenant, '', name) },
  { title: 'PDUs in', number: true, width: 'w8', first: 'descending', sort: (r) => number(r.pdus), cell: (td, r) => write(td, count(r.pdus)) },
  copies('Out now', 'sent'),
  copies('Out by the audited', 'audited'),
  copies('Useless', 'useless'),
  copies('Missed', 'missed'),
  { title: 'Faults', number: true, width: 'w6', first: 'descending', sort: (r) => number(r.faults), cell: (td, r) => write(td, count(r.faults)) },
];

// summary says in one sentence what an audited policy would change.
function summary(tenant, a) {
  const total = (field) => (a.rows ?? []).reduce((n, r) => n + number(r[field]?.pdus), 0);
  const [sent, audited] = [total('sent'), total('audited')];
  const change = sent ? `, ${audited <= sent ? '−' : '+'}${Math.abs(Math.round((100 * (audited - sent)) / sent))} %` : '';
  return `${several() ? `${tenant}: ` : ''}${a.policy.name} ${short(a.policy.sha256)} would send ${count(audited)} PDUs out instead of ${count(sent)}${change}; ${count(total('useless'))} are useless by it, ${count(total('missed'))} are missed.`;
}

// audit displays the part.
export function audit() {
  const table = new Table(byId('audit-table'), {
    label: 'Audit', columns, key: (r) => `${r.command} ${r.tenant}`, tall: true, empty: 'Nothing has been compared yet.',
    sorted: { column: 'PDUs in', descending: true }, classes: (r) => (number(r.missed?.pdus) || number(r.faults) ? 'warn' : ''),
  });
  onUpdate((changed) => {
    if (document.hidden || !(changed.includes('known') || changed.includes('tenant'))) return;
    const all = chosen().map((t) => state.known.get(t.tenant)).filter((t) => t?.audit);
    hide(byId('audit'), all.length === 0);
    hide(byId('audit-link'), all.length === 0);
    if (!all.length) return;
    table.show('Tenant', several());
    table.update(all.flatMap((t) => (t.audit.rows ?? []).map((r) => ({ ...r, tenant: t.tenant }))));
    write(byId('audit-summary'), all.map((t) => summary(t.tenant, t.audit)).join(' '), '', long);
  });
}

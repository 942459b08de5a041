// The sessions that ended last, and why.
import { ask } from './api.js';
import { poll } from './poll.js';
import { onUpdate, several, state } from './state.js';
import { Table } from './table.js';
import { age, bytes, count, long, moment, name, number, reasons, write } from './text.js';

const every = 5000;
const limit = 200;
const byId = (id) => document.getElementById(id);

// keyOf identifies a session over time.
export const keyOf = (d) => `${d.session} ${d.until} ${d.tenant}`;

// identityOf is the name in a peer's certificate, if it has one.
const identityOf = (d) => (d.peer.startsWith(d.identity) ? '' : ` ${d.identity}`);

// endColumns are the columns of sessions that have ended.
export const endColumns = [
  { title: 'When', width: 'when', first: 'descending', sort: (d) => d.until, cell: (td, d) => write(td, moment(d.until)) },
  { title: 'Reason', width: 'w10', sort: (d) => d.reason, cell: (td, d) => write(td, `${d.warning ? '△ ' : ''}${d.reason}`) },
  { title: 'Tenant', sort: (d) => d.tenant, cell: (td, d) => write(td, d.tenant, '', name) },
  { title: 'Peer', width: 'name', sort: (d) => d.peer, cell: (td, d) => write(td, `${d.peer}${identityOf(d)}`, `by ${d.listener}`, name) },
  { title: 'Session', number: true, width: 'w6', sort: (d) => number(d.session), cell: (td, d) => write(td, String(number(d.session))) },
  { title: 'Open for', number: true, width: 'w6', sort: (d) => new Date(d.until) - new Date(d.since), cell: (td, d) => write(td, age(d.since, d.until), `since ${moment(d.since)}`) },
  { title: 'PDUs in', number: true, width: 'w6', sort: (d) => number(d.pdus_in), cell: (td, d) => write(td, count(d.pdus_in), bytes(d.bytes_in)) },
  { title: 'PDUs out', number: true, width: 'w6', sort: (d) => number(d.pdus_out), cell: (td, d) => write(td, count(d.pdus_out), bytes(d.bytes_out)) },
  { title: 'Lag', number: true, width: 'w8', sort: (d) => number(d.lag), cell: (td, d) => write(td, bytes(d.lag), 'when it ended') },
  { title: 'Error', width: 'long', cell: (td, d) => write(td, d.error, '', long) },
];

// disconnects displays the table.
export function disconnects() {
  const table = new Table(byId('disconnects-table'), {
    label: 'Disconnects', columns: endColumns, key: keyOf, tall: true, empty: 'No session has ended since the start.',
    sorted: { column: 'When', descending: true }, classes: (d) => (d.warning ? 'warn' : ''),
  });
  let all = [];
  const show = () => {
    if (document.hidden) return;
    table.show('Tenant', several());
    table.show('Error', all.some((d) => d.error));
    table.update(all);
    const hour = new Date(state.snapshot?.time ?? 0).getTime() - 3600000;
    const counts = {};
    for (const d of all) if (new Date(d.until).getTime() > hour) counts[d.reason] = (counts[d.reason] ?? 0) + 1;
    write(byId('disconnects-count'), Object.keys(counts).length ? `in the last hour: ${reasons(counts)}` : '', '', long);
  };
  const again = poll(every, async () => {
    const asked = state.tenant;
    const answer = await ask('/api/v1/disconnects', { query: asked ? { tenant: asked, limit } : { limit } });
    if (asked !== state.tenant) return; // the next answer is for the other tenant
    all = answer.disconnects ?? [];
    show();
  }, (why) => write(byId('disconnects-wrong'), why));
  onUpdate((changed) => {
    if (changed.includes('tenant') || changed.includes('live')) again();
  });
}

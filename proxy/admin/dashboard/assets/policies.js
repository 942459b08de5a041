// The history of policies: in force, retired and refused, newest first.
import { addressOf } from './address.js';
import { ask } from './api.js';
import { poll } from './poll.js';
import { announce, onUpdate, several, state } from './state.js';
import { link, Table } from './table.js';
import { hide, long, moment, name, number, reasons, seconds, short, write } from './text.js';

const every = 30000; // in case an event was missed
export const words = new Map([['in-force', '● in force'], ['retired', '○ retired'], ['refused', '✕ refused']]);

const events = new Map(); // PolicyEvent by id

// idOf is the id of a policy's view: the hash of its file, or, of a refused one, its number, as the
// hash may be that of one that is in force.
export const idOf = (e) => (e.sha256 && e.state !== 'refused' ? e.sha256 : String(e.id));

export const signature = (e) => (e.signature ? `v${e.signature.version} by ${(e.signature.signers ?? []).join(', ')}` : '');
const about = (e) => (e.state === 'refused' ? `${e.gate ? `${e.gate}: ` : ''}${e.error}` : e.routes);

// faults come from the snapshot for the policy in force.
function faults(e) {
  const tenant = e.state === 'in-force' && state.snapshot?.tenants?.find((t) => t.tenant === e.tenant && t.policy?.sha256 === e.sha256);
  return reasons(tenant ? tenant.faults : e.faults) || '0';
}

const columns = [
  { title: 'When', width: 'when', first: 'descending', sort: (e) => number(e.id), cell: (td, e) => write(td, moment(e.since), e.until ? `until ${moment(e.until)}` : '') },
  { title: 'State', sort: (e) => e.state, cell: (td, e) => write(td, words.get(e.state) ?? e.state) },
  { title: 'Tenant', sort: (e) => e.tenant, cell: (td, e) => write(td, e.tenant, '', name) },
  { title: 'Policy', width: 'name', sort: (e) => e.name, cell: (td, e) => link(td, e.name, addressOf('policy', e.tenant, idOf(e)), '', name) },
  { title: 'SHA-256', width: 'hash', cell: (td, e) => write(td, short(e.sha256), e.module_sha256 && e.module_sha256 !== e.sha256 ? `${e.sha256}, compiled to ${e.module_sha256}` : e.sha256) },
  { title: 'Signed', sort: signature, cell: (td, e) => write(td, signature(e), e.signature?.expires ? `expires ${moment(e.signature.expires)}` : '') },
  { title: 'Loading', number: true, width: 'w8', first: 'descending', sort: (e) => number(e.load_seconds), cell: (td, e) => write(td, e.load_seconds === null ? '–' : seconds(e.load_seconds)) },
  { title: 'Faults', cell: (td, e) => write(td, faults(e)) },
  { title: 'Routes, or why refused', width: 'long', cell: (td, e) => write(td, about(e), '', long) },
];

// isLatest reports whether nothing has happened to the tenant's policy since. A refusal before that
// no longer troubles anybody.
const isLatest = (e) => ![...events.values()].some((o) => o.tenant === e.tenant && number(o.id) > number(e.id));

function announceEvent(e) {
  const what = e.state === 'refused' ? `was refused${e.gate ? ` by the gate ${e.gate}` : ''}` : 'is in force';
  announce(`Tenant ${e.tenant}: policy ${e.name} ${what}.`);
}

// policies displays the table. It returns the handler of events from the stream.
export function policies() {
  const table = new Table(document.getElementById('policies-table'), {
    label: 'Policies', columns, key: (e) => String(e.id), tall: true, empty: 'No policy is known yet.', sorted: { column: 'When', descending: true },
    classes: (e) => (e.state === 'refused' && isLatest(e) ? 'refused' : e.state === 'in-force' ? 'in-force' : ''),
  });
  const show = () => {
    if (document.hidden) return;
    const rows = [...events.values()].filter((e) => !state.tenant || e.tenant === state.tenant);
    const refused = rows.filter((e) => e.state === 'refused').length;
    table.show('Tenant', several());
    table.update(rows);
    write(document.getElementById('policies-count'), rows.length ? `${rows.length - refused} loaded, ${refused} refused` : '');
  };
  const again = poll(every, async () => {
    const answer = await ask('/api/v1/policies');
    events.clear();
    for (const tenant of answer.policies ?? []) for (const e of tenant.history ?? []) events.set(e.id, e);
    show();
  }, (why) => hide(write(document.getElementById('policies-wrong'), why), why === ''));
  onUpdate((changed) => {
    if (changed.includes('live')) again();
    show();
  });
  return (event) => {
    if (!events.has(event.id) && event.state !== 'retired') announceEvent(event);
    events.set(event.id, event);
    show();
    again(); // the state of the previous policy has changed, too
  };
}

// The routing table: the rows, requested when the policy changes, and the traffic of each
// command, from the snapshots.
import { addressOf } from './address.js';
import { ask } from './api.js';
import { poll } from './poll.js';
import { chosen, onUpdate, several, state } from './state.js';
import { link, meter, Table } from './table.js';
import { bytes, count, hide, id, long, make, name, number, rate, reasons, write } from './text.js';

const most = 8; // tenants whose tables are requested
const every = 30000; // in case a change was missed

let tables = new Map(); // Routes by tenant
let left = 0; // tenants whose table was not requested

// sum adds up the traffic of commands.
function sum(commands) {
  const total = { pdus: 0, bytes: 0, rate: 0, actions: {} };
  for (const c of commands) {
    total.pdus += number(c.pdus);
    total.bytes += number(c.bytes);
    total.rate += number(c.rate);
    for (const [action, n] of Object.entries(c.actions ?? {})) total.actions[action] = (total.actions[action] ?? 0) + number(n);
  }
  return total;
}

// rowsOf returns the routes of a tenant with their traffic. The row "else" counts commands
// without a row of their own.
function rowsOf(tenant, table) {
  const commands = tenant.commands ?? [];
  const traffic = new Map(commands.map((c) => [number(c.id), c]));
  const named = (table.routes ?? []).filter((r) => r.known || r.command !== 'else');
  const inside = (r, c) => number(r.first) <= number(c.id) && number(c.id) <= number(r.last);
  const rest = sum(commands.filter((c) => c.command === 'other' || !named.some((r) => inside(r, c))));
  const rows = new Map(); // how many rows a command has, by its lowest id
  for (const r of table.routes ?? []) rows.set(r.first, (rows.get(r.first) ?? 0) + 1);
  return (table.routes ?? []).map((route, i) => {
    const other = !route.known && route.command === 'else';
    const seen = route.known ? traffic.get(number(route.first)) : other ? rest : sum(commands.filter((c) => c.command !== 'other' && inside(route, c)));
    return { tenant: tenant.tenant, route, other, at: i, traffic: seen ?? {}, shared: rows.get(route.first) > 1 };
  });
}

const ids = ({ route, other }) => (other ? 'all other' : route.first === route.last ? id(route.first) : `${id(route.first)}–${id(route.last)}`);
const services = ({ route }) => (route.services ?? []).join(', ') + (route.except?.length ? ` except ${route.except.join(', ')}` : '');
const action = ({ route }) => route.decision?.verdict ?? '';
const decided = new Map([['constant', 'by ids'], ['inspect', 'by header'], ['inspect_body', 'by body']]);
const figures = (row) => (row.shared ? 'under all services' : '');

const columns = [
  { title: 'Command', width: 'command', sort: (r) => r.route.command, cell: (td, r) => link(td, r.route.command, addressOf('command', r.tenant, r.other ? 'else' : id(r.route.first)), '', name) },
  {
    title: 'Verdict', width: 'verdict', sort: action, cell: (td, r) => {
      write(td, action(r) + (r.route.decision?.fault ? ` (fault: ${r.route.decision.fault})` : ''));
      td.dataset.action = r.route.decision?.action ?? '';
    },
  },
  { title: 'Tenant', sort: (r) => r.tenant, cell: (td, r) => write(td, r.tenant, '', name) },
  {
    title: 'Rate', number: true, width: 'w8', first: 'descending', sort: (r) => number(r.traffic.rate), cell: (td, r) => {
      write(td, `${rate(r.traffic.rate)}/s`, figures(r));
      meter(td, number(r.traffic.rate) / r.busiest);
    },
  },
  { title: 'PDUs', number: true, width: 'w6', first: 'descending', sort: (r) => number(r.traffic.pdus), cell: (td, r) => write(td, count(r.traffic.pdus), figures(r)) },
  { title: 'Bytes', number: true, width: 'w8', first: 'descending', sort: (r) => number(r.traffic.bytes), cell: (td, r) => write(td, bytes(r.traffic.bytes), figures(r)) },
  { title: 'Actions', width: 'actions', sort: (r) => reasons(r.traffic.actions), cell: (td, r) => write(td, reasons(r.traffic.actions)) },
  { title: 'Service', width: 'service', sort: services, cell: (td, r) => write(td, services(r)) },
  { title: 'Decided', sort: (r) => r.route.decision?.decided ?? '', cell: (td, r) => write(td, decided.get(r.route.decision?.decided) ?? r.route.decision?.decided) },
  { title: 'Id', sort: (r) => r.at, cell: (td, r) => write(td, ids(r)) },
];

const matches = (row, words) => {
  const text = `${row.route.command} ${ids(row)} ${services(row)} ${action(row)} ${reasons(row.traffic.actions)}`.toLowerCase();
  return words.every((w) => text.includes(w));
};

// isPlain reports whether a command has no rule of its own and no traffic: such rows are folded.
const isPlain = (r) => r.route.alike && !r.other && number(r.traffic.pdus) === 0;

// suggest fills the list of command names of the form that evaluates a PDU.
function suggest() {
  const names = [...new Set([...tables.values()].flatMap((t) => (t.routes ?? []).filter((r) => r.known).map((r) => r.command)))];
  const list = document.getElementById('commands');
  if (list.children.length !== names.length) list.replaceChildren(...names.map((n) => make('option', { value: n })));
}

function warn() {
  const named = tables.size > 1;
  const lines = [...tables.values()].flatMap((t) => (t.warnings ?? []).map((w) => (named ? `${t.tenant}: ${w}` : w)));
  const asked = [...tables.values()].filter((t) => t.asked).map((t) => `${named ? `${t.tenant}: ` : ''}asked about ${t.asked}`);
  write(document.getElementById('routes-asked'), asked.join(' · '), '', long);
  document.getElementById('routes-warnings').replaceChildren(...lines.map((l) => write(make('p', { class: 'notice' }), l, '', long)));
}

// inForce identifies the policies of the chosen tenants, to notice a change.
const inForce = () => chosen().map((t) => `${t.policy?.sha256} ${t.tenant}`).join('\n');

// routes displays the table. It returns a function that requests it at once.
export function routes() {
  const find = document.getElementById('routes-find');
  const fold = document.getElementById('routes-fold');
  let folded = true;
  const table = new Table(document.getElementById('routes-table'), {
    label: 'Routing table', columns, key: (r) => `${r.route.first} ${r.route.last} ${services(r)} ${r.tenant}`, tall: true,
    empty: 'No route matches.', sorted: { column: 'PDUs', descending: true }, classes: (r) => (number(r.traffic.rate) > 0 ? 'busy' : ''),
  });
  const show = () => {
    if (document.hidden) return;
    const all = chosen().flatMap((t) => (tables.has(t.tenant) ? rowsOf(t, tables.get(t.tenant)) : []));
    const busiest = Math.max(1, ...all.map((r) => number(r.traffic.rate)));
    for (const row of all) row.busiest = busiest;
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    // A search is in all rows.
    const rows = all.filter((r) => (words.length || !folded || !isPlain(r)) && matches(r, words));
    table.show('Tenant', several());
    table.show('Service', all.some((r) => services(r) !== 'any'));
    table.update(rows);
    const plain = all.filter(isPlain).length;
    hide(fold, plain === 0 || words.length > 0);
    fold.setAttribute('aria-expanded', String(!folded));
    write(fold, `${folded ? 'Show' : 'Hide'} ${plain} ${plain === 1 ? 'command' : 'commands'} without a rule of their own and without traffic`);
    const shown = rows.length === all.length ? `${all.length} rows` : `${rows.length} of ${all.length} rows`;
    write(document.getElementById('routes-count'), all.length ? shown + (left ? `; choose a tenant to see the tables of the other ${left}` : '') : '');
  };
  let known = '';
  const again = poll(every, async () => {
    const now = inForce();
    const names = chosen().map((t) => t.tenant);
    const answers = await Promise.all(names.slice(0, most).map((tenant) => ask('/api/v1/routes', { query: { tenant } })));
    tables = new Map(answers.map((a) => [a.tenant, a]));
    left = Math.max(0, names.length - most);
    known = now;
    suggest();
    warn();
    show();
  }, (why) => {
    const place = write(document.getElementById('routes-wrong'), why);
    hide(place, why === '');
  });
  find.addEventListener('input', show);
  fold.addEventListener('click', () => {
    folded = !folded;
    show();
  });
  onUpdate((changed) => {
    if (changed.includes('tenant') || changed.includes('live') || (state.live && inForce() !== known)) {
      known = inForce(); // one request per change, whatever the answer
      again();
    }
    show();
  });
  return again;
}

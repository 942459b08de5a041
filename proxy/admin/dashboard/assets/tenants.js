// The tenants and their limits. A click on a name chooses the tenant.
import { addressOf } from './address.js';
import { asPolicySays, bytes, count, lost, make, name, number, rate, reasons, seconds, sum, write } from './text.js';
import { link, meter, Table } from './table.js';
import { chosen, onUpdate, state, update } from './state.js';

// limitsOf returns the limits of a tenant, as far as they are known.
export const limitsOf = (tenant) => state.known.get(tenant)?.limits ?? {};

// choose displays one tenant, or all if the name is empty.
export const choose = (tenant) => update({ tenant });

// nameCell writes a button that chooses the tenant, or all if it is chosen already.
function nameCell(cell, row) {
  let button = cell.firstElementChild;
  if (!button) {
    button = make('button', { type: 'button', class: 'link' });
    cell.append(button);
    button.addEventListener('click', () => choose(state.tenant === button.dataset.tenant ? '' : button.dataset.tenant));
  }
  if (button.dataset.tenant !== row.tenant) button.dataset.tenant = row.tenant;
  const pressed = String(state.tenant === row.tenant);
  if (button.getAttribute('aria-pressed') !== pressed) button.setAttribute('aria-pressed', pressed);
  write(button, row.tenant, '', name);
}

const policyText = (p) => p?.name ?? '';
// counted is a column of counts by reason: their sum, with the reasons as the title.
const counted = (title, of) => ({ title, number: true, width: 'w6', first: 'descending', sort: (t) => sum(of(t)), cell: (td, t) => write(td, count(sum(of(t))), reasons(of(t))) });

// amount writes a figure, and its share of the limit.
function amount(cell, value, limit, format) {
  write(cell, format(value), limit ? `${format(value)} of ${format(limit)}` : '');
  meter(cell, limit ? number(value) / limit : 0);
}

const columns = [
  { title: 'Tenant', cell: nameCell, sort: (t) => t.tenant, width: 'name' },
  { title: 'Peers', number: true, width: 'w6', first: 'descending', sort: (t) => number(t.sessions), cell: (td, t) => amount(td, t.sessions, limitsOf(t.tenant).connections, count) },
  { title: 'Users', number: true, width: 'w6', first: 'descending', sort: (t) => number(t.users), cell: (td, t) => amount(td, t.users, limitsOf(t.tenant).users, count) },
  { title: 'In', number: true, width: 'w8', first: 'descending', sort: (t) => number(t.rates?.pdus_in), cell: (td, t) => write(td, `${rate(t.rates?.pdus_in)}/s`, `${bytes(t.rates?.bytes_in)}/s`) },
  { title: 'Out', number: true, width: 'w8', first: 'descending', sort: (t) => number(t.rates?.pdus_out), cell: (td, t) => write(td, `${rate(t.rates?.pdus_out)}/s`, `${bytes(t.rates?.bytes_out)}/s`) },
  { title: 'Lag', number: true, width: 'w8', first: 'descending', sort: (t) => number(t.lag), cell: (td, t) => amount(td, t.lag, limitsOf(t.tenant).lag_hard, bytes) },
  { title: 'Memory', number: true, width: 'w8', first: 'descending', sort: (t) => number(t.log), cell: (td, t) => amount(td, t.log, limitsOf(t.tenant).log, bytes) },
  { title: 'Probe', number: true, width: 'w8', first: 'descending', sort: (t) => number(t.probe_seconds), cell: (td, t) => write(td, t.probe_seconds === null ? '–' : seconds(t.probe_seconds)) },
  { title: 'Policy', cell: (td, t) => link(td, policyText(t.policy), addressOf('policy', t.tenant, t.policy?.sha256 ?? ''), t.policy?.sha256, name), sort: (t) => policyText(t.policy), width: 'policy' },
  counted('Faults', (t) => t.faults),
  counted('Lost', (t) => lost(t.dropped)),
  counted('Dropped by policy', (t) => asPolicySays(t.dropped)),
  counted('Discarded', (t) => t.discarded),
];

// options sets the entries of a select to names; all is the entry for all tenants, if there is
// one. The chosen entry stays, if it still exists.
export function options(select, names, all) {
  const wanted = all === undefined ? names : ['', ...names];
  const same = select.options.length === wanted.length && wanted.every((value, i) => select.options[i].value === value);
  if (same) return;
  const before = select.value;
  select.replaceChildren(...wanted.map((value) => write(make('option', { value }), value === '' ? all : value, '', name)));
  if (wanted.includes(before)) select.value = before;
}

// tenants displays the table, and keeps the select at the top up to date.
export function tenants() {
  const select = document.getElementById('tenant');
  select.addEventListener('change', () => choose(select.value));
  const table = new Table(document.getElementById('tenants-table'), {
    label: 'Tenants', columns, key: (t) => t.tenant, empty: 'No tenant is known yet.', sorted: { column: 'Tenant', descending: false },
    classes: (t) => (t.tenant === state.tenant ? 'chosen' : ''),
  });
  onUpdate(() => {
    const all = state.snapshot?.tenants ?? [];
    if (state.snapshot && state.tenant && chosen().length === 0) {
      choose(''); // the tenant was removed
      return;
    }
    options(select, all.map((t) => t.tenant), 'All');
    if (select.value !== state.tenant) select.value = state.tenant;
    if (!document.hidden) table.update(all);
  });
}

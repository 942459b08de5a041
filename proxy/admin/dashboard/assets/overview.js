// The tiles at the top, and the charts.
import { Chart } from './chart.js';
import { hour } from './hour.js';
import { asPolicySays, bytes, clock, count, hide, lost, make, number, rate, reasons, seconds, sum, write } from './text.js';
import { chosen, onUpdate, state } from './state.js';

const byId = (id) => document.getElementById(id);

// tiles are {title, value, more, help}: a figure of the chosen tenants, its details, and what it
// counts. bad is true while the figure is trouble.
const total = (name) => chosen().reduce((n, t) => n + number(t[name]), 0);
const ratesOf = (name) => chosen().reduce((n, t) => n + number(t.rates?.[name]), 0);
const together = (name) => {
  const all = new Map();
  for (const t of chosen()) for (const [reason, n] of Object.entries(t[name] ?? {})) all.set(reason, (all.get(reason) ?? 0) + number(n));
  return Object.fromEntries(all);
};
const counts = (of) => ({ value: () => count(sum(of())), more: () => reasons(of()) || 'none so far' });
const tiles = [
  { title: 'PDUs in', value: () => `${rate(ratesOf('pdus_in'))}/s`, more: () => `${bytes(ratesOf('bytes_in'))}/s`, help: 'Received from peers' },
  { title: 'PDUs out', value: () => `${rate(ratesOf('pdus_out'))}/s`, more: () => `${bytes(ratesOf('bytes_out'))}/s`, help: 'Written to peers; each receiver counts' },
  { title: 'Peers', value: () => count(total('sessions')), more: () => `${count(total('paused'))} paused` },
  { title: 'Users', value: () => count(total('users')), more: () => `of ${chosen().length} ${chosen().length === 1 ? 'tenant' : 'tenants'}`, help: 'Users that are present' },
  { title: 'Lag', value: () => bytes(Math.max(0, ...chosen().map((t) => number(t.lag)))), more: () => `all peers ${bytes(total('lags'))}`, help: 'Bytes that the slowest peer has yet to be written' },
  { title: 'Lost', ...counts(() => lost(together('dropped'))), help: 'PDUs dropped for another reason than that the policy says so' },
  { title: 'Dropped by policy', ...counts(() => asPolicySays(together('dropped'))), help: 'PDUs dropped as the policy says, and unicasts that have no receiver' },
  { title: 'Discarded', ...counts(() => together('discarded')), help: 'PDUs out that were not written before their peer was gone' },
  { title: 'Policy faults', ...counts(() => together('faults')), help: 'PDUs on which the policy failed to decide' },
];

const perSecond = (format) => (value) => `${format(value)}/s`;
const latencies = [{ key: 'p50', name: 'median' }, { key: 'p99', name: '99 %' }, { key: 'max', name: 'longest' }];
const inOut = (a, b) => [{ key: a, name: 'in' }, { key: b, name: 'out' }];

function makeCharts() {
  return [
    new Chart(byId('chart-pdus'), { title: 'PDUs', format: perSecond(rate), least: 10, series: inOut('pdusIn', 'pdusOut') }),
    new Chart(byId('chart-bytes'), { title: 'Bytes', format: perSecond(bytes), binary: true, least: 1024, series: inOut('bytesIn', 'bytesOut') }),
    new Chart(byId('chart-lag'), { title: 'Lag', format: bytes, binary: true, least: 65536, series: [{ key: 'lag', name: 'slowest' }] }),
    new Chart(byId('chart-latency'), { title: 'Latency', format: seconds, least: 0.0001, series: latencies }),
  ];
}

// fitting returns what the charts show of at most the chosen span: a shorter one, while the server
// has no more.
function fitting(history, chosen) {
  const all = history.samples(state.tenant, chosen);
  const age = all.now - (all.samples[0]?.time ?? all.now);
  const span = Math.min(chosen, [300000, 900000, 1800000].find((s) => age < s) ?? chosen);
  return span === chosen ? { ...all, span } : { ...history.samples(state.tenant, span), span };
}

// overview displays them. It returns a function that requests the last hour at once.
export function overview(history) {
  for (const tile of tiles) {
    tile.figure = make('dd', { class: 'value' }, '–');
    tile.note = make('dd', { class: 'more' }, '\u00a0');
    byId('tiles').append(make('div', { title: tile.help }, make('dt', {}, tile.title), tile.figure, tile.note));
  }
  const [pdus, volume, lag, latency] = makeCharts();
  const { again, showMarks } = hour(history);
  const span = byId('span');
  const show = () => {
    if (!state.snapshot || document.hidden) return;
    const shown = fitting(history, 1000 * Number(span.value));
    for (const chart of [pdus, volume, lag]) chart.update(shown);
    latency.update(shown, state.tenant ? [{ key: 'probe', name: 'last probe' }] : latencies);
    showMarks(shown.marks);
    const begun = shown.since > shown.now - 1000 * Number(span.value) + 60000;
    write(byId('since'), begun ? `from ${clock(shown.since)} on: figures begin with a start or a new tenant` : '');
    for (const tile of tiles) {
      write(tile.figure, tile.value());
      write(tile.note, tile.more(), tile.more());
    }
    write(byId('as-of'), state.live ? '' : `as of ${clock(state.snapshot.time)}`);
    hide(byId('draining'), !state.snapshot.draining);
  };
  span.addEventListener('change', show);
  onUpdate(show);
  return again;
}

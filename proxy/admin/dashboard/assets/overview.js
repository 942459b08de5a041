// The tiles at the top, and the charts.
import { Chart } from './chart.js';
import { asPolicySays, bytes, clock, count, hide, lost, make, number, rate, reasons, seconds, sum, write } from './text.js';
import { chosen, onUpdate, state } from './state.js';

const byId = (id) => document.getElementById(id);

// tiles are {title, value, more}: a figure of the chosen tenants, and its details.
const total = (name) => chosen().reduce((n, t) => n + number(t[name]), 0);
const ratesOf = (name) => chosen().reduce((n, t) => n + number(t.rates?.[name]), 0);
const together = (name) => {
  const all = new Map();
  for (const t of chosen()) for (const [reason, n] of Object.entries(t[name] ?? {})) all.set(reason, (all.get(reason) ?? 0) + number(n));
  return Object.fromEntries(all);
};
const tiles = [
  { title: 'PDUs in', value: () => `${rate(ratesOf('pdus_in'))}/s`, more: () => `${bytes(ratesOf('bytes_in'))}/s` },
  { title: 'Copies out', value: () => `${rate(ratesOf('pdus_out'))}/s`, more: () => `${bytes(ratesOf('bytes_out'))}/s` },
  { title: 'Peers', value: () => count(total('sessions')), more: () => `${count(total('paused'))} paused` },
  { title: 'Users present', value: () => count(total('users')), more: () => `of ${chosen().length} ${chosen().length === 1 ? 'tenant' : 'tenants'}` },
  { title: 'Largest lag', value: () => bytes(Math.max(0, ...chosen().map((t) => number(t.lag)))), more: () => `all peers ${bytes(total('lags'))}` },
  { title: 'PDUs lost', value: () => count(sum(lost(together('dropped')))), more: () => reasons(lost(together('dropped'))) || 'none so far' },
  { title: 'Dropped as the policy says', value: () => count(sum(asPolicySays(together('dropped')))), more: () => reasons(asPolicySays(together('dropped'))) || 'none so far' },
  { title: 'Copies discarded', value: () => count(sum(together('discarded'))), more: () => reasons(together('discarded')) || 'none so far' },
  { title: 'Policy faults', value: () => count(sum(together('faults'))), more: () => reasons(together('faults')) || 'none so far' },
];

// overview displays them.
export function overview(history) {
  for (const tile of tiles) {
    tile.figure = make('dd', { class: 'value' }, '–');
    tile.note = make('dd', { class: 'more' }, '\u00a0');
    byId('tiles').append(make('div', {}, make('dt', {}, tile.title), tile.figure, tile.note));
  }
  const perSecond = (format) => (value) => `${format(value)}/s`;
  const latencies = [{ key: 'p50', name: 'median' }, { key: 'p99', name: '99 %' }, { key: 'max', name: 'longest' }];
  const inOut = (a, b) => [{ key: a, name: 'in' }, { key: b, name: 'out' }];
  const charts = {
    pdus: new Chart(byId('chart-pdus'), { title: 'PDUs', format: perSecond(rate), least: 10, series: inOut('pdusIn', 'pdusOut') }),
    bytes: new Chart(byId('chart-bytes'), { title: 'Bytes', format: perSecond(bytes), binary: true, least: 1024, series: inOut('bytesIn', 'bytesOut') }),
    latency: new Chart(byId('chart-latency'), { title: 'Latency', format: seconds, least: 0.0001, series: latencies }),
  };
  onUpdate(() => {
    if (!state.snapshot || document.hidden) return;
    const { now, samples } = history.samples(state.tenant);
    charts.pdus.update(samples, now);
    charts.bytes.update(samples, now);
    charts.latency.update(samples, now, state.tenant ? [{ key: 'probe', name: 'last probe' }] : latencies);
    for (const tile of tiles) {
      write(tile.figure, tile.value());
      write(tile.note, tile.more());
    }
    write(byId('as-of'), state.live ? '' : `as of ${clock(state.snapshot.time)}`);
    hide(byId('draining'), !state.snapshot.draining);
  });
}

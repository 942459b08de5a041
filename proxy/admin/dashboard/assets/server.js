// The process that serves: what it is, its configuration and listeners, and what operators can do
// to it.
import { facts } from './answer.js';
import { ask } from './api.js';
import { operator } from './confirm.js';
import { poll } from './poll.js';
import { mayOperate, onUpdate, state, update } from './state.js';
import { Table } from './table.js';
import { age, count, hide, long, moment, name, number, reasons, sum, write } from './text.js';

const every = 10000;
const byId = (id) => document.getElementById(id);
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

// daysLeft returns how many days a listener's certificate is still valid; Infinity without one.
export const daysLeft = (l, now) => (l.certificate_until ? (new Date(l.certificate_until).getTime() - new Date(now).getTime()) / 86400000 : Infinity);

function expiry(l) {
  if (!l.certificate_until) return '';
  const days = daysLeft(l, state.snapshot?.time ?? Date.now());
  return days < 0 ? `▲ expired ${moment(l.certificate_until)}` : `${days < 14 ? '△ ' : ''}in ${days < 2 ? `${Math.floor(days * 24)} h` : plural(Math.floor(days), 'day')}`;
}

const tenantsOf = (l) => [l.tenant, ...(l.tenants ?? []).filter((t) => t !== l.tenant)].filter(Boolean).join(', ');
const columns = [
  { title: 'Listener', width: 'name', sort: (l) => l.address, cell: (td, l) => write(td, l.address, l.listener, name) },
  { title: 'Tenants', sort: tenantsOf, cell: (td, l) => write(td, tenantsOf(l)) },
  { title: 'Security', cell: (td, l) => write(td, l.mutual_tls ? 'mutual TLS' : l.tls ? 'TLS' : 'plain TCP') },
  { title: 'Certificate expires', sort: (l) => String(l.certificate_until), cell: (td, l) => write(td, expiry(l), l.certificate_until ? moment(l.certificate_until) : '') },
  { title: 'Open', number: true, width: 'w6', sort: (l) => number(l.open), cell: (td, l) => write(td, count(l.open)) },
  { title: 'Accepted', number: true, width: 'w6', sort: (l) => number(l.accepted), cell: (td, l) => write(td, count(l.accepted)) },
  { title: 'Refused', sort: (l) => sum(l.refused), cell: (td, l) => write(td, sum(l.refused) ? reasons(l.refused) : '0', '', long), width: 'long' },
];

// trouble returns the class of a listener's row.
function trouble(l) {
  const days = daysLeft(l, state.snapshot?.time ?? Date.now());
  if (l.certificate_error || days < 0) return 'error';
  return days < 14 || l.certificate_warnings?.length ? 'warn' : '';
}

function pairs(s, level) {
  const c = s.configuration;
  const all = [
    ['Version', s.version],
    ['Host', `${s.host || 'unknown'}, process ${s.pid}`],
    ['Started', moment(s.started)],
    ['Configuration', `${c.file || 'the defaults, without a file'}, read ${moment(c.since)}`],
  ];
  if (c.error) all.push(['Refused', c.error, 'wrong']);
  if (c.restart?.length) all.push(['Waits for a restart', c.restart.join(', '), 'caution']);
  all.push(['Log level', level.level === level.configured ? level.level : `${level.level}; the configuration says ${level.configured}`]);
  all.push(['You may', mayOperate() ? 'read and operate' : 'read. Operating needs the operate token: see Token at the top, and admin.operate_token_file']);
  return all;
}

// reloaded says what came of a reload.
function reloaded(r) {
  const keys = [...(r.configuration?.changed ?? [])];
  const waiting = r.configuration?.restart ?? [];
  const policies = (r.tenants ?? []).filter((t) => t.result === 'changed' || t.result === 'added').map((t) => t.tenant);
  const parts = [keys.length ? `changed: ${keys.join(', ')}` : 'the configuration is unchanged'];
  if (waiting.length) parts.push(`after a restart: ${waiting.join(', ')}`);
  if (policies.length) parts.push(`policies changed of ${policies.join(', ')}`);
  return `Reloaded; ${parts.join('; ')}.`;
}

function buttons(again) {
  const then = (text) => (answer) => {
    again();
    return text(answer);
  };
  operator(byId('operate-reload'), () => ({
    title: 'Reload', text: 'Read the configuration, policies and certificates again? What is refused changes nothing.',
    request: () => ({ path: '/api/v1/reload' }), done: then(reloaded),
  }));
  operator(byId('operate-drain'), () => ({
    title: 'Drain', text: `Stop the server on ${state.server?.host || 'this host'}? It accepts nobody any more, writes what is due, closes all ${count(state.snapshot?.totals?.sessions)} peers and ends. A supervisor may start it again.`,
    request: () => ({ path: '/api/v1/drain' }), done: then((a) => `The server drains for at most ${number(a.timeout_seconds)} s, and ends.`),
  }));
  const level = byId('operate-level');
  operator(byId('operate-log'), () => ({
    title: 'Set log level', text: `Log from level ${level.value} on? It returns to the configured level at the next change of the configuration, or at a restart.`,
    request: () => ({ path: '/api/v1/log-level', method: 'PUT', body: { level: level.value } }), done: then((a) => `The log level is ${a.level}.`),
  }));
  return level;
}

// server displays the part, and the line at the top of the page.
export function server() {
  const table = new Table(byId('listeners-table'), { label: 'Listeners', columns, key: (l) => l.address, empty: 'No listener is open.', classes: trouble });
  let shown = '';
  let level = { level: '', configured: '' };
  const again = poll(every, async () => {
    const [next, listeners, log] = await Promise.all(['server', 'listeners', 'log-level'].map((path) => ask(`/api/v1/${path}`)));
    if (log.level !== level.level) levels.value = log.level;
    level = log;
    update({ server: next, listeners: listeners.listeners ?? [] });
  }, (why) => write(byId('server-wrong'), why));
  const levels = buttons(again);
  onUpdate((changed) => {
    if (changed.includes('live')) again();
    const s = state.server;
    if (!s || document.hidden) return;
    write(byId('head-line'), `${s.version} on ${s.host || 'an unnamed host'}, up ${age(s.started, state.snapshot?.time ?? Date.now())}`, moment(s.started));
    table.update(state.listeners);
    const wanted = pairs(s, level);
    if (JSON.stringify(wanted) === shown) return; // otherwise, a selection would be lost
    shown = JSON.stringify(wanted);
    byId('server-facts').replaceChildren(facts(wanted));
    hide(byId('operate-help'), mayOperate());
  });
}

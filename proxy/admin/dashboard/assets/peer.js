// The view of one peer: who it is, why it lags, what it sends, and how its earlier sessions ended.
import { facts } from './answer.js';
import { ask, request } from './api.js';
import { operator } from './confirm.js';
import { endColumns, keyOf } from './disconnects.js';
import { condition, nameOf, role, security } from './peers.js';
import { poll } from './poll.js';
import { state } from './state.js';
import { Table } from './table.js';
import { limitsOf } from './tenants.js';
import { age, bytes, count, hide, long, make, moment, number, rate, seconds, write } from './text.js';

const every = 2000;
const watched = 5; // seconds for which its PDUs are looked at
const most = 5000; // PDUs in that time

// why explains a peer's lag, in sentences. before is the peer of the last answer.
function why(peer, before, elapsed) {
  const limits = limitsOf(peer.tenant);
  const lag = number(peer.lag);
  const out = number(peer.rates?.bytes_out);
  const grows = before && elapsed > 0 ? (lag - number(before.lag)) / elapsed : 0;
  const all = [];
  if (peer.standby) all.push('It is a standby link: it gets heartbeats only, until it declares itself master.');
  if (peer.paused) all.push('It is not read from now, because of a quota or a full log: see Memory and the limits of the tenant.');
  if (lag === 0) return [...all, 'It keeps up: everything that is due to it is written.'].join(' ');
  all.push(`It has yet to be written ${bytes(lag)}.`);
  if (out === 0) all.push('It takes nothing: its process hangs, its machine is overloaded, or the network to it is down.');
  else if (grows > 0) all.push(`It takes ${bytes(out)}/s, and is due ${bytes(grows)}/s more than that: its process or the network to it is too slow for what it is sent.`);
  else if (grows < 0) all.push(`It catches up, by ${bytes(-grows)}/s: in ${seconds(lag / -grows)} if that continues.`);
  else all.push(`It takes ${bytes(out)}/s, as much as is added.`);
  if (limits.lag_hard) all.push(`It is closed at ${bytes(limits.lag_hard)} (limits.lag_hard)${limits.lag_soft ? `, or after ${seconds(limits.lag_soft_seconds)} above ${bytes(limits.lag_soft)} (limits.lag_soft)` : ''}.`);
  return all.join(' ');
}

function pairs(p, now) {
  return [
    ['Tenant', p.tenant],
    ['Session', String(number(p.session))],
    ['Address', p.peer],
    ['Certificate', (p.identities ?? []).join(', ') || 'none'],
    ['Security', security(p)],
    ['Listener', p.listener || 'unknown'],
    ['Role, groups', role(p) || 'none'],
    ['Connected', `${age(p.since, now)}, since ${moment(p.since)}`],
    ['Users', count(p.users)],
    ['In', `${rate(p.rates?.pdus_in)} PDUs/s, ${bytes(p.rates?.bytes_in)}/s; ${count(p.pdus_in)} PDUs, ${bytes(p.bytes_in)} so far`],
    ['Out', `${rate(p.rates?.pdus_out)} PDUs/s, ${bytes(p.rates?.bytes_out)}/s; ${count(p.pdus_out)} PDUs, ${bytes(p.bytes_out)} so far`],
    ['Lag', bytes(p.lag)],
    ...(p.over_limit ? [['Over a limit', `${count(p.over_limit)} of its PDUs were dropped beyond a rate limit of the policy`]] : []),
  ];
}

const commandColumns = [
  { title: 'Command', width: 'command', sort: (c) => c.command, cell: (td, c) => write(td, c.command) },
  { title: 'PDUs', number: true, width: 'w6', first: 'descending', sort: (c) => c.pdus, cell: (td, c) => write(td, count(c.pdus)) },
  { title: 'Bytes', number: true, width: 'w8', first: 'descending', sort: (c) => c.bytes, cell: (td, c) => write(td, bytes(c.bytes)) },
  { title: 'Verdict', width: 'verdict', sort: (c) => c.verdict, cell: (td, c) => write(td, c.verdict) },
];

// watch counts what a peer sends for a few seconds, by command and verdict, from a tap.
async function watch(view, signal, onCounts) {
  const counts = new Map();
  const query = { tenant: view.tenant, session: view.id, time: `${watched}s`, pdus: most };
  const response = await request('/api/v1/tap', { query, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const l of lines) {
      const pdu = JSON.parse(l);
      if (pdu.kind !== 'pdu') continue;
      const key = `${pdu.command} ${pdu.verdict}`;
      const c = counts.get(key) ?? { command: pdu.command, verdict: pdu.verdict, pdus: 0, bytes: 0 };
      counts.set(key, { ...c, pdus: c.pdus + 1, bytes: c.bytes + number(pdu.length) });
    }
    onCounts([...counts.values()]);
  }
}

// commands makes the part about what the peer sends.
function commands(view, signal) {
  const place = make('div');
  const note = make('p', { class: 'note' });
  const button = make('button', { type: 'button' }, `Watch for ${watched} s`);
  hide(place, true);
  const table = new Table(place, { label: 'What it sends', columns: commandColumns, key: (c) => `${c.command} ${c.verdict}`, empty: '', sorted: { column: 'PDUs', descending: true } });
  button.addEventListener('click', async () => {
    button.disabled = true;
    write(note, `Watching what it sends for ${watched} s …`);
    let seen = 0;
    try {
      await watch(view, signal, (rows) => {
        seen = rows.reduce((n, c) => n + c.pdus, 0);
        table.update(rows);
        hide(place, rows.length === 0);
      });
      write(note, seen ? `Its PDUs of ${watched} s${seen >= most ? `, at most ${most}` : ''}.` : `It sent nothing in ${watched} s.`);
    } catch (e) {
      if (!signal.aborted) write(note, e.message, '', long);
    }
    button.disabled = false;
  });
  write(note, 'A tap shows by which commands its PDUs come. The log says who watches.');
  return make('div', {}, make('h3', {}, 'What it sends'), make('p', { class: 'buttons' }, button, note), place);
}

// peer displays the view of a peer.
export function peer(view, place, signal) {
  const reason = make('p', { class: 'headline' });
  const list = make('div');
  const wrong = make('p', { class: 'wrong' });
  const close = make('button', { type: 'button', id: 'peer-close' }, 'Close the connection');
  const ends = make('div');
  place.append(reason, list, wrong, make('p', { class: 'buttons' }, close), commands(view, signal), make('h3', {}, 'Earlier sessions of this peer'), ends);
  const table = new Table(ends, { label: 'Earlier sessions', columns: endColumns, key: keyOf, empty: 'None is remembered.', sorted: { column: 'When', descending: true }, classes: (d) => (d.warning ? 'warn' : '') });
  table.show('Tenant', false);
  let before = null;
  let beforeAt = 0;
  let last = null;
  operator(close, () => ({
    title: 'Close', text: `Close the connection of ${last ? nameOf(last) : `session ${view.id}`}? What is due to it is written first. A msg_server connects again by itself.`, reason: true,
    request: (text) => ({ path: '/api/v1/connections/close', body: { tenant: view.tenant, session: Number(view.id), ...(text ? { reason: text } : {}) } }),
    done: (a) => `${a.peer} is being closed.`,
  }), signal);

  const showOpen = (p) => {
    const now = state.snapshot?.time ?? Date.now();
    write(reason, why(p, before, (new Date(now) - beforeAt) / 1000), '', long);
    reason.className = ['headline', 'headline caution', 'headline wrong'][condition(p).bad];
    if (!before || new Date(now) - beforeAt >= 1500) [before, beforeAt] = [p, new Date(now)];
    last = p;
    list.replaceChildren(facts(pairs(p, now)));
    hide(close, false);
  };
  const showEnded = (d) => {
    const text = d ? `It has ended, ${moment(d.until)}: ${d.reason}${d.error ? `, ${d.error}` : ''}. Its lag was ${bytes(d.lag)}.` : `Session ${view.id} of tenant ${view.tenant} has ended, or never was.`;
    write(reason, text, '', long);
    reason.className = d?.warning ? 'headline caution' : 'headline';
    hide(close, true);
  };
  const again = poll(every, async () => {
    const [open, ended] = await Promise.all([
      ask('/api/v1/connections', { query: { tenant: view.tenant, session: view.id, limit: 1 } }),
      ask('/api/v1/disconnects', { query: { tenant: view.tenant, limit: 1000 } }),
    ]);
    if (signal.aborted) return;
    const p = open.connections?.[0];
    const all = ended.disconnects ?? [];
    const own = all.find((d) => String(d.session) === view.id);
    if (p) showOpen(p);
    else showEnded(own);
    const host = (address) => String(address ?? '').replace(/:\d+$/, '');
    const [of, names] = [host((p ?? own)?.peer), p?.identities ?? []];
    table.update(all.filter((d) => host(d.peer) === of || names.some((n) => d.identity.includes(n))));
  }, (text) => write(wrong, text), signal);
  again();
  return {
    title: `Peer ${view.id} of ${view.tenant}`, part: 'peers',
    show: (changed) => {
      if (changed.includes('live')) again();
      if (last) write(document.getElementById('view-title'), `Peer ${nameOf(last)}`, '', 128);
    },
  };
}

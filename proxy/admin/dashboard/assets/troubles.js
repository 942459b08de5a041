// What needs attention now, in a list at the top: red for what is wrong, amber for what will be.
// Without an entry, one line says that all is well.
import { condition } from './peers.js';
import { daysLeft } from './server.js';
import { announce, chosen, onUpdate, state } from './state.js';
import { limitsOf } from './tenants.js';
import { bytes, count, lost, make, number, reasons, show, sum } from './text.js';

const memory = 60000; // milliseconds for which an increase counts
const soon = 14; // days before a certificate expires
const nearly = 0.9; // share of a limit
const few = 0.005; // share of the received PDUs that may get lost without being red

const byId = (id) => document.getElementById(id);
const wrong = (text, part) => ({ text, part, bad: true });
const pdus = (n) => `${count(n)} ${n === 1 ? 'PDU' : 'PDUs'}`;
const caution = (text, part) => ({ text, part, bad: false });

// An Increase remembers counters of the last minute.
class Increase {
  #samples = new Map(); // [{at, value}] by name, the earliest first, five seconds apart

  // recent returns by how much a counter has risen in the last minute, as far as it was seen.
  recent(key, value, now) {
    let all = this.#samples.get(key) ?? [];
    if (all.some((s) => s.value > value || s.at > now)) all = []; // another policy, or a restart
    all = all.filter((s) => now - s.at <= memory);
    if (!all.length || now - all.at(-1).at >= 5000) all.push({ at: now, value });
    this.#samples.set(key, all);
    return value - all[0].value;
  }
}

const increase = new Increase();

// brief is the first fault of several. The part about the server has all of them.
function brief(error) {
  const [first, ...more] = error.split('\n').filter((line) => line.trim());
  const cut = first.length > 120 ? `${first.slice(0, 119)}…` : first;
  return more.length ? `${cut} (and ${more.length} more)` : cut;
}

function ofServer(now) {
  const all = [];
  const { error, restart } = state.server?.configuration ?? {};
  if (error) all.push(wrong(`The configuration is refused; the one before is in force: ${brief(error)}`, 'server'));
  if (restart?.length) all.push(caution(`Waits for a restart: ${restart.join(', ')}`, 'server'));
  for (const l of state.listeners) {
    const days = daysLeft(l, now);
    if (l.certificate_error) all.push(wrong(`The certificate files of ${l.address} are refused: ${brief(l.certificate_error)}`, 'server'));
    if (days < 0) all.push(wrong(`The certificate of ${l.address} has expired`, 'server'));
    else if (days < soon) all.push(caution(`The certificate of ${l.address} expires in ${Math.floor(days)} days`, 'server'));
    for (const w of days < soon ? [] : l.certificate_warnings ?? []) all.push(caution(`${l.address}: ${w}`, 'server'));
  }
  return all;
}

function ofTenant(t, now) {
  const all = [];
  const known = state.known.get(t.tenant) ?? {};
  const limits = limitsOf(t.tenant);
  if (known.policy_error) all.push(wrong(`Tenant ${t.tenant}: the policy is refused; the one before is in force`, 'policies'));
  if (known.audit_error) all.push(caution(`Tenant ${t.tenant}: the policy to audit is refused`, 'audit'));
  const gone = increase.recent(`lost ${t.tenant}`, sum(lost(t.dropped)), now);
  const received = increase.recent(`received ${t.tenant}`, number(t.received), now);
  // A few of many are the fault of a peer that sends nonsense.
  if (gone) all.push((gone > few * received ? wrong : caution)(`Tenant ${t.tenant}: ${pdus(gone)} lost in the last minute (so far ${reasons(lost(t.dropped))})`, 'tenants'));
  const discarded = increase.recent(`discarded ${t.tenant}`, sum(t.discarded), now);
  if (discarded) all.push(caution(`Tenant ${t.tenant}: ${pdus(discarded)} discarded in the last minute, as their peers were gone`, 'disconnects'));
  const faults = increase.recent(`faults ${t.tenant}`, sum(t.faults), now);
  if (faults) all.push(wrong(`Tenant ${t.tenant}: the policy failed on ${pdus(faults)} in the last minute`, 'policies'));
  for (const [what, value, limit, format] of [['log memory', t.log, limits.log, bytes], ['connections', t.sessions, limits.connections, count], ['users', t.users, limits.users, count]]) {
    if (limit && number(value) > nearly * limit) all.push(caution(`Tenant ${t.tenant}: ${what} ${format(value)} of ${format(limit)}`, 'tenants'));
  }
  return all;
}

function ofPeers() {
  const slow = (state.snapshot.slowest ?? []).filter((p) => (!state.tenant || p.tenant === state.tenant) && condition(p).bad === 2);
  return slow.length ? [wrong(`${slow.length === 1 ? `Peer ${slow[0].peer} is slow: lag ${bytes(slow[0].lag)}` : `${slow.length} peers are slow, the slowest lags ${bytes(slow[0].lag)}`}`, 'peers')] : [];
}

// troubles displays the list.
export function troubles() {
  const place = byId('troubles');
  let before = new Set();
  onUpdate((changed) => {
    if (!state.snapshot || !changed.some((c) => ['snapshot', 'server', 'known', 'tenant'].includes(c))) return;
    const now = new Date(state.snapshot.time).getTime();
    const all = [...ofServer(now), ...ofPeers(), ...chosen().flatMap((t) => ofTenant(t, now))].sort((a, b) => b.bad - a.bad);
    if (document.hidden) return;
    const texts = all.length ? all : [{ text: state.live ? 'Nothing needs attention.' : '', part: '', bad: false }];
    while (place.children.length > texts.length) place.lastChild.remove();
    while (place.children.length < texts.length) place.append(make('li', {}, make('a')));
    texts.forEach((t, i) => {
      const li = place.children[i];
      li.className = t.bad ? 'bad' : all.length ? 'warn' : 'well';
      const a = show(li.firstElementChild, `${t.bad ? '▲ ' : all.length ? '△ ' : '✓ '}${t.text}`.slice(0, 400));
      if (t.part) a.setAttribute('href', `#${t.part}`);
      else a.removeAttribute('href');
    });
    // Figures in the texts change; what they are about is read out once.
    const about = new Set(all.filter((t) => t.bad && t.part !== 'peers').map((t) => t.text.replace(/\d[\d.,]*/g, '')));
    for (const t of about) if (!before.has(t)) announce(t);
    before = about;
  });
}

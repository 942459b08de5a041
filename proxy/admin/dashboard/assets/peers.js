// The connected peers, their rates and their lag. The table is requested every two seconds;
// in between, snapshots bring the fastest and the slowest.
import { addressOf } from './address.js';
import { ask } from './api.js';
import { poll } from './poll.js';
import { announce, onUpdate, several, state } from './state.js';
import { link, meter, Table } from './table.js';
import { limitsOf } from './tenants.js';
import { age, bytes, count, long, moment, name, number, rate, write } from './text.js';

const limit = 200; // peers requested
const every = 2000;
const unknown = 4 << 20; // bytes, in place of lag_soft while that is not known
// order is the server's sort order for each column.
const order = { Lag: 'lag', State: 'lag', In: 'rate', 'In bytes': 'rate', Out: 'rate', 'Out bytes': 'rate' };

let listed = []; // the last answer
let listedAt = 0; // time of the snapshot before it
let total = 0;
let about = null; // tenant that the last answer is about
let slowBefore = new Map(); // tenant by key, so that each is announced once

const key = (peer) => `${peer.session} ${peer.tenant}`;

// condition returns the state of a peer in words, and how bad it is: 0 to 2.
export function condition(peer) {
  const { lag_soft: soft, lag_hard: hard } = limitsOf(peer.tenant);
  const bound = soft || hard || unknown;
  const lag = number(peer.lag);
  const share = hard ? `, ${Math.round((100 * lag) / hard)} % of limit` : '';
  const words = [];
  let bad = 0;
  if (lag >= bound / 2) {
    words.push(`▲ slow${share}`);
    bad = 2;
  } else if (lag >= bound / 8) {
    words.push(`△ lagging${share}`);
    bad = 1;
  }
  if (peer.paused) {
    words.push('‖ paused');
    bad = Math.max(bad, 1);
  }
  return { text: words.join('; ') || 'keeps up', bad };
}

// nameOf returns the address of a peer, and the first name in its certificate.
export const nameOf = (peer) => (peer.identities?.length ? `${peer.peer} ${peer.identities[0]}` : peer.peer);

function more(peer) {
  return [`session ${peer.session}`, `by ${peer.listener || 'an unknown listener'}`, security(peer), ...(peer.identities ?? [])].join('\n');
}

// security describes the connection's TLS.
export const security = (peer) => (peer.tls ? `${peer.tls.version}, ${peer.tls.cipher}${peer.tls.server_name ? `, for ${peer.tls.server_name}` : ''}` : 'plain TCP');

// role is what a peer has declared itself, with its groups.
export const role = (peer) => [peer.master ? 'master' : peer.standby ? 'standby' : '', ...(peer.groups ?? [])].filter(Boolean).join(', ');

const figure = (title, of, format, width = 'w8') => ({ title, number: true, width, first: 'descending', sort: (p) => number(of(p)), cell: (td, p) => write(td, format(of(p))) });
const perSecond = (format) => (value) => `${format(value)}/s`;

const columns = [
  { title: 'Peer', cell: (td, p) => link(td, nameOf(p), addressOf('peer', p.tenant, p.session), more(p), name), sort: nameOf, width: 'name' },
  { title: 'State', width: 'state', first: 'descending', sort: (p) => condition(p).bad * 2 ** 50 + number(p.lag), cell: (td, p) => write(td, condition(p).text) },
  { title: 'Tenant', cell: (td, p) => write(td, p.tenant, '', name), sort: (p) => p.tenant },
  {
    title: 'Lag', number: true, width: 'w8', first: 'descending', sort: (p) => number(p.lag), cell: (td, p) => {
      write(td, bytes(p.lag));
      meter(td, number(p.lag) / (limitsOf(p.tenant).lag_hard || Infinity));
    },
  },
  figure('In', (p) => p.rates?.pdus_in, perSecond(rate)),
  figure('Out', (p) => p.rates?.pdus_out, perSecond(rate)),
  figure('In bytes', (p) => p.rates?.bytes_in, perSecond(bytes), 'w10'),
  figure('Out bytes', (p) => p.rates?.bytes_out, perSecond(bytes), 'w10'),
  figure('Users', (p) => p.users, count, 'w6'),
  { title: 'Role', cell: (td, p) => write(td, role(p), '', name), sort: (p) => (p.master ? 2 : p.standby ? 1 : 0), first: 'descending' },
  { title: 'Session', number: true, width: 'w6', sort: (p) => number(p.session), cell: (td, p) => write(td, String(number(p.session))) },
  { title: 'Connected', number: true, width: 'w8', sort: (p) => String(p.since), cell: (td, p) => write(td, age(p.since, state.snapshot?.time ?? Date.now()), moment(p.since)) },
];

// current returns the last answer, updated by newer rows of the snapshot, with the slowest
// peers added.
function current() {
  const rows = new Map(listed.map((p) => [key(p), p]));
  const { time, slowest = [], fastest = [] } = state.snapshot ?? {};
  const newer = new Date(time).getTime() > listedAt;
  for (const p of [...fastest, ...slowest]) {
    if (state.tenant && p.tenant !== state.tenant) continue;
    if (rows.has(key(p)) ? newer : slowest.includes(p)) rows.set(key(p), p);
  }
  return [...rows.values()];
}

function summarize(rows) {
  const slow = rows.filter((p) => condition(p).bad === 2).sort((a, b) => number(b.lag) - number(a.lag));
  const names = slow.slice(0, 3).map((p) => `${nameOf(p)} (lag ${bytes(p.lag)})`).join(', ');
  const rest = slow.length > 3 ? ` and ${slow.length - 3} more` : '';
  const others = [['lagging', (p) => condition(p).bad === 1 && !p.paused], ['paused', (p) => p.paused]]
    .map(([word, is]) => [word, rows.filter(is).length]).filter(([, n]) => n).map(([word, n]) => `${n} ${word}`);
  const words = [...(slow.length ? [`▲ ${slow.length} slow: ${names}${rest}`] : []), ...others].join('; ');
  const place = write(document.getElementById('peers-slow'), words || (rows.length ? 'All peers keep up.' : ''), '', long);
  place.classList.toggle('bad', slow.length > 0);
  const fresh = slow.filter((p) => !slowBefore.has(key(p)));
  if (fresh.length) announce(`Slow: ${fresh.slice(0, 3).map(nameOf).join(', ')}`);
  // Slow peers of tenants that are not displayed now have been announced before.
  const unseen = [...slowBefore].filter(([, tenant]) => state.tenant && tenant !== state.tenant);
  slowBefore = new Map([...unseen, ...slow.map((p) => [key(p), p.tenant])]);
}

// peers displays the table.
export function peers() {
  const table = new Table(document.getElementById('peers-table'), {
    label: 'Peers', columns, key, tall: true, empty: 'No peer is connected.', sorted: { column: 'Lag', descending: true },
    classes: (p) => ['', 'lagging', 'slow'][condition(p).bad], onSort: () => again(),
  });
  const show = () => {
    if (document.hidden) return;
    const rows = current();
    table.show('Tenant', several());
    table.update(rows);
    write(document.getElementById('peers-count'), total > rows.length ? `${rows.length} of ${count(total)}` : count(rows.length));
    if (about === state.tenant) summarize(rows);
  };
  const again = poll(every, async () => {
    const query = { sort: order[table.sorted.column] ?? 'id', limit };
    const asked = state.tenant;
    if (asked) query.tenant = asked;
    const answer = await ask('/api/v1/connections', { query });
    if (asked !== state.tenant) return; // the next answer is for the other tenant
    about = asked;
    listed = answer.connections ?? [];
    total = number(answer.total);
    listedAt = new Date(state.snapshot?.time ?? 0).getTime();
    show();
  }, (why) => write(document.getElementById('peers-wrong'), why));
  onUpdate((changed) => {
    if (changed.includes('tenant')) {
      listed = [];
      total = 0;
    }
    if (changed.includes('tenant') || changed.includes('live')) again();
    if (state.snapshot) show();
  });
}

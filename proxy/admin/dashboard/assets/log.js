// The last lines of the server's log: by level, by words, and with equal ones in one row.
import { onUpdate, state } from './state.js';
import { Table } from './table.js';
import { clock, long, moment, number, write } from './text.js';

const most = 200;
const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR'];
const marks = new Map([['WARN', '△ WARN'], ['ERROR', '▲ ERROR']]);
const byId = (id) => document.getElementById(id);

let lines = []; // newest first

// key identifies a line. After a restart of the server, ids begin again.
const key = (l) => `${l.time} ${l.id}`;

const attributes = (line) => Object.entries(line.attributes ?? {}).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('  ');

// brief is attributes without the ends of hashes.
const brief = (line) => attributes(line).replace(/(sha256=[0-9a-f]{12})[0-9a-f]{52}/g, '$1…');

const times = (l) => (l.times > 1 ? `${l.times} × since ${clock(l.first)}` : '');
const columns = [
  { title: 'When', width: 'when', cell: (td, l) => write(td, moment(l.time)) },
  { title: 'Level', width: 'w8', cell: (td, l) => write(td, marks.get(l.level) ?? l.level) },
  { title: 'Times', width: 'w8', cell: (td, l) => write(td, times(l)) },
  { title: 'Message', width: 'name', cell: (td, l) => write(td, l.message, '', long) },
  { title: 'About', width: 'long', cell: (td, l) => write(td, brief(l), attributes(l), long) },
];

// grouped returns one row for lines of the same level, message, tenant and reason: the latest.
function grouped(all) {
  const groups = new Map();
  for (const l of all) {
    const { tenant, reason, request } = l.attributes ?? {};
    const same = JSON.stringify([l.level, l.message, tenant, reason, request]);
    const g = groups.get(same);
    if (g) Object.assign(g, { times: g.times + 1, first: l.time });
    else groups.set(same, { ...l, times: 1, first: l.time });
  }
  return [...groups.values()];
}

// log displays the lines. It returns the handler of lines from the stream.
export function log() {
  const least = byId('log-least');
  const find = byId('log-find');
  const group = byId('log-group');
  const table = new Table(byId('log-table'), {
    label: 'Log', columns, key, tall: true, empty: 'No such line.', classes: (l) => String(l.level).toLowerCase().replace(/[^a-z]/g, ''),
  });
  // A line without a tenant concerns all tenants. An unknown level counts as important.
  const wanted = (l, words) => {
    const level = levels.indexOf(l.level);
    const of = l.attributes?.tenant;
    if (!((level < 0 || level >= levels.indexOf(least.value)) && (!state.tenant || of === undefined || of === state.tenant))) return false;
    const text = `${l.message} ${attributes(l)}`.toLowerCase();
    return words.every((w) => text.includes(w));
  };
  const show = () => {
    if (document.hidden) return;
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const some = lines.filter((l) => wanted(l, words));
    table.show('Times', group.checked);
    table.update(group.checked ? grouped(some) : some);
    write(byId('log-count'), some.length < lines.length ? `${some.length} of ${lines.length} lines` : '');
  };
  for (const [control, event] of [[least, 'change'], [find, 'input'], [group, 'change']]) control.addEventListener(event, show);
  let waiting = false;
  onUpdate((changed) => {
    if (changed.includes('tenant') || changed.includes('snapshot')) show();
  });
  return (line) => {
    if (lines.some((l) => key(l) === key(line))) return; // sent again after a reconnect
    lines = [line, ...lines].sort((a, b) => new Date(b.time) - new Date(a.time) || number(b.id) - number(a.id)).slice(0, most);
    if (waiting) return; // many arrive at once when the page is opened
    waiting = true;
    setTimeout(() => {
      waiting = false;
      show();
    }, 50);
  };
}

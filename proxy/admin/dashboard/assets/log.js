// The last lines of the server's log.
import { onUpdate, state } from './state.js';
import { Table } from './table.js';
import { long, moment, number, write } from './text.js';

const most = 200;
const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR'];
const marks = new Map([['WARN', '△ WARN'], ['ERROR', '▲ ERROR']]);

let lines = []; // newest first

// key identifies a line. After a restart of the server, ids begin again.
const key = (l) => `${l.time} ${l.id}`;

const attributes = (line) => Object.entries(line.attributes ?? {}).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('  ');

const columns = [
  { title: 'When', width: 'when', cell: (td, l) => write(td, moment(l.time)) },
  { title: 'Level', width: 'w8', cell: (td, l) => write(td, marks.get(l.level) ?? l.level) },
  { title: 'Message', width: 'name', cell: (td, l) => write(td, l.message, '', long) },
  { title: 'About', width: 'long', cell: (td, l) => write(td, attributes(l), '', long) },
];

// log displays the lines. It returns the handler of lines from the stream.
export function log() {
  const least = document.getElementById('log-least');
  const table = new Table(document.getElementById('log-table'), {
    label: 'Log', columns, key, tall: true, empty: 'No such line yet.', classes: (l) => String(l.level).toLowerCase().replace(/[^a-z]/g, ''),
  });
  // A line without a tenant concerns all tenants. An unknown level counts as important.
  const wanted = (l) => {
    const level = levels.indexOf(l.level);
    const of = l.attributes?.tenant;
    return (level < 0 || level >= levels.indexOf(least.value)) && (!state.tenant || of === undefined || of === state.tenant);
  };
  const show = () => {
    if (!document.hidden) table.update(lines.filter(wanted));
  };
  least.addEventListener('change', show);
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

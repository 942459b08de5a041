// The form that compares a candidate policy with the one in force.
import { ask } from './api.js';
import { facts, form, heading, verdict } from './answer.js';
import { follow } from './evaluate.js';
import { Table } from './table.js';
import { bytes, id, make, short, write } from './text.js';

const byId = (id) => document.getElementById(`compare-${id}`);
const largest = 64 << 20; // bytes; the server's own limit is lower
const timeout = 60000; // milliseconds, as a large module takes time to compile

const ids = (c) => (c.first === c.last ? id(c.first) : `${id(c.first)}–${id(c.last)}`);
const services = (c) => (c.services ?? []).join(', ') + (c.except?.length ? ` except ${c.except.join(', ')}` : '');

// columns are those of changes; titles are those of the two policies.
const columns = ([before, after]) => [
  { title: 'Command', width: 'command', sort: (c) => c.command, cell: (td, c) => write(td, c.command, `${ids(c)}, ${services(c)}`) },
  { title: 'Service', sort: services, cell: (td, c) => write(td, services(c)) },
  { title: before, width: 'verdict', sort: (c) => verdict(c.before), cell: (td, c) => write(td, verdict(c.before)) },
  { title: after, width: 'verdict', sort: (c) => verdict(c.after), cell: (td, c) => write(td, c.unproven ? `${verdict(c.after)} (inspected by other code: only traffic can show a difference)` : verdict(c.after)) },
];

// changesTable displays changes in a place.
export function changesTable(place, changes, titles) {
  const table = new Table(place, { label: 'Changes', columns: columns(titles), key: (c) => `${c.first} ${c.last} ${services(c)}`, empty: '', tall: true });
  table.update(changes);
}

function answerOf(a) {
  const changes = a.changes ?? [];
  const certain = changes.filter((c) => !c.unproven).length;
  const unproven = changes.length - certain;
  const what = a.same ? 'It is the policy in force: nothing would change.' : changes.length === 0 ? 'No route would change.'
    : `${certain} ${certain === 1 ? 'route' : 'routes'} would change${unproven ? `, ${unproven} more may` : ''}.`;
  const policy = (p) => `${p.name} ${short(p.sha256)}`;
  const pairs = [['In force', policy(a.before)], ['Candidate', policy(a.after)], ['Tenant', a.tenant]];
  if (a.asked) pairs.push(['Asked about', a.asked]);
  for (const warning of a.warnings ?? []) pairs.push(['Warning', warning, 'wrong']);
  const parts = [heading(what, certain ? 'bad' : ''), facts(pairs)];
  if (changes.length) {
    const place = make('div');
    changesTable(place, changes, ['In force', 'Candidate']);
    parts.push(place);
  }
  return parts;
}

// compare makes the form work.
export function compare() {
  let file = null;
  const drop = byId('drop');
  const input = byId('file');
  const choose = (chosen) => {
    file = chosen ?? null;
    write(byId('name'), file ? `${file.name}, ${bytes(file.size)}` : 'or drag it here');
    byId('send').disabled = !file;
    byId('answer').replaceChildren();
  };
  input.addEventListener('change', () => choose(input.files[0]));
  drop.addEventListener('dragover', (e) => {
    e.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (e) => {
    e.preventDefault();
    drop.classList.remove('over');
    input.value = ''; // the dropped file replaces the chosen one
    choose(e.dataTransfer.files[0]);
  });
  // A file that is dropped elsewhere would replace the page.
  for (const event of ['dragover', 'drop']) {
    window.addEventListener(event, (e) => {
      if (e.defaultPrevented) return;
      e.preventDefault();
      e.dataTransfer.dropEffect = 'none';
    });
  }
  form(document.getElementById('compare'), byId('answer'), async () => {
    if (file.size > largest) throw new Error(`${file.name}: ${bytes(file.size)} is more than any policy has`);
    const query = { name: file.name };
    if (byId('tenant').value) query.tenant = byId('tenant').value;
    let body;
    try {
      // Reading fails if the file has changed since it was chosen.
      body = await file.arrayBuffer();
    } catch {
      throw new Error(`${file.name} changed or is gone since it was chosen; choose it again`);
    }
    return answerOf(await ask('/api/v1/compare', { method: 'POST', query, headers: { 'Content-Type': 'application/octet-stream' }, body }, timeout));
  });
  follow(byId('tenant'));
}

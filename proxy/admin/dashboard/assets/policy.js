// The view of one policy: what it is, who put it in force, and what differs from the one before.
import { facts, heading } from './answer.js';
import { ask } from './api.js';
import { changesTable } from './compare.js';
import { idOf, signature, words } from './policies.js';
import { poll } from './poll.js';
import { make, moment, number, reasons, seconds, short, show, write } from './text.js';

const every = 30000;
const slow = 60000; // milliseconds, as a large module takes time to compile

function pairs(e) {
  const all = [['State', `${words.get(e.state) ?? e.state}, since ${moment(e.since)}${e.until ? ` until ${moment(e.until)}` : ''}`], ['Policy', e.name]];
  if (e.sha256) all.push(['SHA-256', e.sha256, 'code']);
  if (e.module_sha256 && e.module_sha256 !== e.sha256) all.push(['Module', e.module_sha256, 'code']);
  if (e.signature) all.push(['Signed', `${signature(e)}${e.signature.expires ? `, expires ${moment(e.signature.expires)}` : ''}`]);
  if (e.load_seconds !== null) all.push(['Loading', seconds(e.load_seconds)]);
  if (e.state === 'refused') all.push(['Refused', `${e.gate ? `by the gate ${e.gate}: ` : ''}${e.error}`, 'wrong']);
  else all.push(['Faults', reasons(e.faults) || '0'], ['Routes', e.routes]);
  return all;
}

// caused says who put a policy in force, from the entries of the history.
function caused(entries, e) {
  return entries.filter((h) => h.to?.sha256 === e.sha256 && e.sha256).slice(0, 5)
    .map((h) => ['By', `${moment(h.time)} ${h.kind}: ${[h.who?.by, h.who?.owner ? `file of user ${h.who.owner}` : '', ...(h.who?.signers ?? [])].filter(Boolean).join(', ')}${h.reason ? `; ${h.reason}` : ''}`]);
}

// beforeOf returns the hash of the policy that was in force before, by the events of this process or
// by the history; undefined if there was none.
function beforeOf(e, events, entries) {
  const earlier = events.filter((o) => o.state !== 'refused' && number(o.id) < number(e.id) && o.sha256 !== e.sha256);
  return earlier.sort((a, b) => number(b.id) - number(a.id))[0]?.sha256 ?? entries.find((h) => h.to?.sha256 === e.sha256 && h.from && h.from.sha256 !== e.sha256)?.from.sha256;
}

async function showChanges(place, view, before, after) {
  place.replaceChildren(make('p', { class: 'note' }, 'Comparing …'));
  const a = await ask('/api/v1/policies/compare', { query: { tenant: view.tenant, before, after } }, slow);
  const changes = a.changes ?? [];
  const at = make('div');
  place.replaceChildren(heading(changes.length ? `${changes.length} ${changes.length === 1 ? 'route differs' : 'routes differ'} from ${a.before.name} ${short(a.before.sha256)}` : `No route differs from ${a.before.name} ${short(a.before.sha256)}.`), at);
  if (changes.length) changesTable(at, changes, ['Before', 'This policy']);
}

// policy displays the view of a policy.
export function policy(view, place, signal) {
  const list = make('div');
  const wrong = make('p', { class: 'wrong' });
  const changes = make('div');
  place.append(list, wrong, make('h3', {}, 'Difference to the one before'), changes);
  let title = `Policy ${short(view.id)} of ${view.tenant}`;
  let compared = '';
  const again = poll(every, async () => {
    const query = { tenant: view.tenant };
    const [answer, history] = await Promise.all([ask('/api/v1/policies', { query }), ask('/api/v1/releases/history', { query: { ...query, limit: 500 } })]);
    if (signal.aborted) return;
    const events = answer.policies?.[0]?.history ?? [];
    const e = events.find((o) => idOf(o) === view.id);
    if (!e) throw new Error(`Tenant ${view.tenant} has had no such policy since the server started.`);
    title = `Policy ${e.name} ${short(e.sha256)} of ${view.tenant}`;
    const entries = history.entries ?? [];
    list.replaceChildren(facts([...pairs(e), ...caused(entries, e)]));
    const before = e.state === 'refused' ? undefined : beforeOf(e, events, entries);
    if (!before) show(changes, e.state === 'refused' ? 'It never was in force.' : 'There was none before.');
    else if (compared !== before) {
      compared = before;
      try {
        await showChanges(changes, view, before, e.sha256);
      } catch (fault) {
        changes.replaceChildren(write(make('p', { class: 'wrong' }), fault.message));
      }
    }
  }, (text) => write(wrong, text), signal);
  again();
  return {
    title, part: 'policies',
    show: (changed) => {
      if (changed.includes('live')) again();
      write(document.getElementById('view-title'), title, '', 128);
    },
  };
}

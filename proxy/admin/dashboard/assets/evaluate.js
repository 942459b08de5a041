// The form that evaluates a PDU with the policy in force.
import { ask } from './api.js';
import { facts, form, heading, verdict } from './answer.js';
import { bodyOf, hexOf } from './body.js';
import { fieldsOf, offerFields } from './fields.js';
import { onUpdate, state } from './state.js';
import { options } from './tenants.js';
import { bytes, count, hide, make, number, short, show } from './text.js';

const byId = (id) => document.getElementById(`evaluate-${id}`);

// whole reads a whole number from a field that may be empty.
function whole(field, name, most) {
  const text = field.value.trim();
  if (text === '') {
    if (field.validity?.badInput) throw new Error(`${name}: not a number`);
    return undefined;
  }
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > most) throw new Error(`${name}: write a whole number from 0 to ${most}`);
  return n;
}

// groups returns the sender's groups: none at all, or the names in the field with commas or blanks between
// them. Without a name it returns undefined, which stands for the groups of the session's peer.
function groups() {
  if (byId('no-groups').checked) return [];
  const names = byId('groups').value.split(/[\s,]+/).filter(Boolean);
  return names.length ? names : undefined;
}

async function question(byHex) {
  const q = { tenant: byId('tenant').value || undefined, session: whole(byId('session'), 'Sender’s session', Number.MAX_SAFE_INTEGER), master: byId('master').checked,
    groups: groups() };
  if (byHex) {
    q.hex = hexOf(byId('hex').value);
    if (!q.hex) throw new Error('PDU: write all of its bytes in hex, the 16 of the header first');
    return q;
  }
  q.command = byId('command').value.trim();
  if (!q.command) throw new Error('Command: write its name or its id, as CID_MSG_DATA or 0x0301');
  q.service = byId('service').value.trim() || undefined;
  q.seq = whole(byId('seq'), 'Sequence number', 65535);
  try {
    q.body = bodyOf(byId('body').value, await fieldsOf(q.command)) || undefined;
  } catch (e) {
    throw new Error(`Body: ${e.message}`);
  }
  return q;
}

// step formats the result and the cost of one call of the policy.
const step = (a) => `${verdict(a.decision)}; ${a.remembered ? 'asked once for these ids' : 'asked about each PDU'}; ${count(a.fuel)} of ${count(a.fuel_limit)} fuel, ${bytes(a.memory)}`;

function receivers(a) {
  if (a.copies === null || a.copies === undefined) return 'unknown until it is sent';
  const named = a.sessions ?? [];
  return `${count(a.copies)}${named.length ? `: ${a.copies === 1 ? 'session' : 'sessions'} ${named.join(', ')}${a.copies > named.length ? ' …' : ''}` : ''}`;
}

function answerOf(a) {
  const pdu = a.pdu;
  const pairs = [
    ['PDU', `${pdu.command} of ${pdu.service}, sequence number ${number(pdu.seq)}, ${bytes(pdu.length)}`],
    ['Sender', `session ${number(a.sender.session)}${number(a.sender.attributes) & 1 ? ', master' : ''}${(a.sender.groups ?? []).map((g) => `, in ${g}`).join('')}`],
    ['By ids', step(a.by_ids)],
  ];
  if (a.inspection) pairs.push([a.inspection.export, step(a.inspection)]);
  if (a.fault) pairs.push(['Fault', `${a.fault.kind}: ${a.fault.error}`, 'wrong']);
  pairs.push(['Copies', receivers(a)], ['Policy', `${a.policy.name} ${short(a.policy.sha256)} of ${a.tenant}`]);
  for (const note of a.notes ?? []) pairs.push(['Note', note]);
  pairs.push(['Header', pdu.header, 'code']);
  if (pdu.body) pairs.push(['Body', pdu.body, 'code']);
  const parts = [heading(verdict(a.decision), a.fault ? 'bad' : ''), facts(pairs)];
  if (pdu.fields) parts.push(make('details', { open: true }, make('summary', {}, 'Fields of the body'), show(make('pre', { tabindex: 0 }), JSON.stringify(pdu.fields, null, 2))));
  return parts;
}

// evaluate makes the form work.
export function evaluate() {
  const ways = document.querySelectorAll('#evaluate input[name=way]');
  const byHex = () => [...ways].some((w) => w.checked && w.value === 'hex');
  const turn = () => {
    hide(byId('fields'), byHex());
    hide(byId('whole'), !byHex());
  };
  for (const way of ways) way.addEventListener('change', turn);
  turn();
  byId('no-groups').addEventListener('change', () => { byId('groups').disabled = byId('no-groups').checked; });
  offerFields(byId('command'), byId('body-fields'));
  form(document.getElementById('evaluate'), byId('answer'), async () => {
    const body = JSON.stringify(await question(byHex()));
    return answerOf(await ask('/api/v1/evaluate', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }));
  });
  follow(byId('tenant'));
}

// follow sets the tenant of a form to the chosen one whenever that changes.
export function follow(select) {
  onUpdate((changed) => {
    options(select, (state.snapshot?.tenants ?? []).map((t) => t.tenant));
    if (changed.includes('tenant') && state.tenant) select.value = state.tenant;
  });
}

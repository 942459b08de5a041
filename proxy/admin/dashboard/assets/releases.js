// The releases of policies: one card for each tenant.
import { ask } from './api.js';
import { Card } from './card.js';
import { poll } from './poll.js';
import { announce, onUpdate, state } from './state.js';
import { hide, long, write } from './text.js';

const every = 2000; // a release is taken further once a second
const mostEntries = 500; // of the history, in one answer
const mostReceipts = 10; // in a card
const byId = (id) => document.getElementById(id);

// ends are the kinds of entries that have a receipt.
const ends = new Set(['initial', 'at-once', 'done', 'rolled-back', 'withdrawn', 'superseded', 'kill', 'revive']);

function announceEntry(e) {
  if (e.tenant && e.kind !== 'refused') announce(`Tenant ${e.tenant}: ${e.kind}${e.release ? ` of release ${e.release}` : ''}${e.reason ? `, ${e.reason}` : ''}.`);
}

// releases displays the cards. It returns the handler of events from the stream.
export function releases() {
  const place = byId('releases-cards');
  const cards = new Map(); // Card by tenant
  let all = [];
  let receipts = new Map(); // the last entries by tenant
  let head = null; // of the history that receipts are of, with the chosen tenant
  const show = () => {
    if (document.hidden) return;
    const shown = all.filter((r) => !state.tenant || r.tenant === state.tenant);
    const names = new Set(shown.map((r) => r.tenant));
    for (const [tenant, card] of cards) {
      if (names.has(tenant)) continue;
      card.node.remove();
      cards.delete(tenant);
    }
    for (const r of shown) {
      if (!cards.has(r.tenant)) {
        cards.set(r.tenant, new Card(r.tenant, () => again()));
        place.append(cards.get(r.tenant).node);
      }
      cards.get(r.tenant).show(r, receipts.get(r.tenant) ?? [], state.known.get(r.tenant)?.audit ?? null);
    }
    const going = shown.filter((r) => r.stage).length;
    write(byId('releases-count'), going ? `${going} under way` : '');
  };
  const readHistory = async () => {
    const query = state.tenant ? { tenant: state.tenant, limit: mostEntries } : { limit: mostEntries };
    const answer = await ask('/api/v1/releases/history', { query });
    receipts = new Map();
    for (const e of answer.entries ?? []) {
      if (!ends.has(e.kind)) continue;
      const some = receipts.get(e.tenant) ?? [];
      if (some.length < mostReceipts) receipts.set(e.tenant, [...some, e]);
    }
  };
  const again = poll(every, async () => {
    const answer = await ask('/api/v1/releases');
    all = answer.releases ?? [];
    const h = answer.history;
    const faults = [h.intact ? '' : "The history is damaged: see 'switchyard policy history --verify'.", h.error ? `${h.unsaved} entries are not written: ${h.error}` : ''];
    hide(write(byId('releases-history'), faults.filter(Boolean).join(' '), '', long), !faults.some(Boolean));
    const now = JSON.stringify([h.head, h.entries, state.tenant]);
    if (now !== head) {
      await readHistory();
      head = now;
    }
    show();
  }, (why) => hide(write(byId('releases-wrong'), why), why === ''));
  onUpdate((changed) => {
    if (changed.includes('live') || changed.includes('tenant')) again();
    if (changed.includes('known') || changed.includes('tenant')) show();
  });
  return (entry) => {
    announceEntry(entry);
    again();
  };
}

// What all parts of the page look at: the chosen tenant, the last snapshot, the limits
// of tenants. It changes only through update, which tells everybody.
import { long, write } from './text.js';

// A snapshot is the last one, or null before the first; known are Tenants by name, as
// the API has them, asked for less often than snapshots come.
export const state = { tenant: '', snapshot: null, live: false, known: new Map() };

const parts = [];

// onUpdate has a part called after each update, with the names of what changed.
export const onUpdate = (part) => parts.push(part);

// update changes state. A part that fails is told to whoever develops it, and does not
// keep the others from being shown.
export function update(changes) {
  const changed = Object.keys(changes);
  Object.assign(state, changes);
  for (const part of parts) {
    try {
      part(changed);
    } catch (e) {
      console.error(e);
    }
  }
}

// chosen are the snapshots of the tenants that are looked at.
export const chosen = () => (state.snapshot?.tenants ?? []).filter((t) => !state.tenant || t.tenant === state.tenant);

// several says whether rows need to name their tenant.
export const several = () => !state.tenant && (state.snapshot?.tenants?.length ?? 0) > 1;

// announce has a text read out to those who do not see the page change, after what was
// announced before.
export function announce(text) {
  const place = document.getElementById('said');
  place.append(write(document.createElement('p'), text, '', long));
  if (place.children.length > 5) place.firstChild.remove();
}

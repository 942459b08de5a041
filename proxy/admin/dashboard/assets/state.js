// The state that all parts of the page share: the chosen tenant, the last snapshot, the limits
// of tenants. Only update changes it, and notifies all parts.
import { long, write } from './text.js';

// snapshot is the last one, or null before the first. known are the API's Tenants by name, server
// its Server and listeners its Listeners, requested less often than snapshots arrive. view is
// {kind, tenant, id} of what is displayed in place of the parts, or null.
export const state = { tenant: '', snapshot: null, live: false, known: new Map(), server: null, listeners: [], view: null };

const parts = [];

// onUpdate calls part after each update, with the names of the changed values.
export const onUpdate = (part) => parts.push(part);

// update changes the state. An error of one part goes to the console, and does not affect
// the others.
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

// chosen returns the snapshots of the displayed tenants.
export const chosen = () => (state.snapshot?.tenants ?? []).filter((t) => !state.tenant || t.tenant === state.tenant);

// several reports whether rows must name their tenant.
export const several = () => !state.tenant && (state.snapshot?.tenants?.length ?? 0) > 1;

// mayOperate reports whether this client has the right to operate, as far as is known.
export const mayOperate = () => state.server?.right === 'operate';

// announce makes screen readers read out a text, after earlier ones.
export function announce(text) {
  const place = document.getElementById('announcements');
  place.append(write(document.createElement('p'), text, '', long));
  if (place.children.length > 5) place.firstChild.remove();
}

// The tenant and the view in the address, so that a link, a reload and the back button show the
// same:
//
//   /?tenant=acme#routes     a part of the page, of one tenant
//   /#peer/acme/17           a view: of a peer, a command or a policy
//
// Names come from files and peers, so they are encoded.
import { onUpdate, state, update } from './state.js';

const kinds = new Set(['peer', 'command', 'policy']);

// addressOf returns the address of a view, for links.
export const addressOf = (kind, tenant, id) => `#${kind}/${encodeURIComponent(tenant)}/${encodeURIComponent(id)}`;

// viewOf returns the view that a hash names, or null.
function viewOf(hash) {
  const [kind, tenant, id, ...more] = hash.slice(1).split('/');
  if (!kinds.has(kind) || id === undefined || more.length) return null;
  try {
    return { kind, tenant: decodeURIComponent(tenant), id: decodeURIComponent(id) };
  } catch {
    return null; // not encoded as this page does it
  }
}

const tenantOf = (search) => new URLSearchParams(search).get('tenant') ?? '';

// go scrolls to the part that the hash names, which was hidden while a view was displayed.
function go() {
  if (location.hash.includes('/')) return;
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

// address makes the page follow its address, and the address the page.
export function address() {
  const follow = () => update({ tenant: tenantOf(location.search), view: viewOf(location.hash) });
  window.addEventListener('popstate', () => { // by the back button, and by links to a hash
    const viewed = state.view !== null;
    follow();
    if (viewed && state.view === null) go();
  });
  let first = true;
  let moved = false; // by the user
  for (const event of ['wheel', 'keydown', 'pointerdown', 'touchstart']) window.addEventListener(event, () => { moved = true; }, { once: true, passive: true });
  onUpdate((changed) => {
    if (changed.includes('tenant') && state.tenant !== tenantOf(location.search)) {
      const url = new URL(location.href);
      if (state.tenant) url.searchParams.set('tenant', state.tenant);
      else url.searchParams.delete('tenant');
      window.history.pushState(null, '', url);
    }
    if (first && changed.includes('snapshot')) {
      first = false;
      for (const wait of [300, 1500]) setTimeout(() => moved || go(), wait); // the parts above get their content
    }
  });
  follow();
}

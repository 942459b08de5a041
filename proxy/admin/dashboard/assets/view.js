// Displays one peer, command or policy in place of the parts of the page.
import { onUpdate, state } from './state.js';
import { hide, name, write } from './text.js';

const byId = (id) => document.getElementById(id);

// views displays what state.view names. kinds has, by kind, a function that gets the view, the
// place for its content and a signal that is aborted when it is closed, and returns {title, part,
// show}: its heading, the part that it belongs to, and what is called with each update.
export function views(kinds) {
  let open = null; // {view, closing, shown}
  const close = () => {
    open?.closing.abort();
    open = null;
    byId('view-body').replaceChildren();
  };
  const begin = (view) => {
    const closing = new AbortController();
    const shown = kinds[view.kind](view, byId('view-body'), closing.signal);
    open = { view, closing, shown };
    write(byId('view-title'), shown.title, '', name * 2);
    byId('view-back').setAttribute('href', `#${shown.part}`);
    window.scrollTo(0, 0);
    byId('view-title').focus();
  };
  onUpdate((changed) => {
    const { view } = state;
    if (changed.includes('view')) {
      const same = open && view && open.view.kind === view.kind && open.view.tenant === view.tenant && open.view.id === view.id;
      if (!same) {
        close();
        document.body.classList.toggle('viewing', view !== null);
        hide(byId('view'), view === null);
        if (view) begin(view);
      }
    }
    if (open && !document.hidden) open.shown.show(changed);
  });
}

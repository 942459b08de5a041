// The dialog that asks before something is done to the server, and shows what came of it.
import { form } from './answer.js';
import { ask } from './api.js';
import { mayOperate, onUpdate } from './state.js';
import { hide, long, make, write } from './text.js';

const byId = (id) => document.getElementById(id);
let asked = null; // what the dialog is about

// confirm opens the dialog about one request:
//   title    the verb, as on the button
//   text     what it does, and to whom
//   request  (reason) => {path, method, body}; body is an object, or none
//   reason   whether the request takes one, for the log
//   done     (answer) => the sentence that says what came of it
export function confirm(what) {
  asked = what;
  write(byId('confirm-title'), what.title);
  write(byId('confirm-text'), what.text, '', long);
  write(byId('confirm-submit'), what.title);
  hide(byId('confirm-reason-line'), !what.reason);
  byId('confirm-reason').value = '';
  byId('confirm-answer').replaceChildren();
  hide(byId('confirm-submit'), false);
  write(byId('confirm-cancel'), 'Cancel');
  byId('confirm').showModal();
  byId(what.reason ? 'confirm-reason' : 'confirm-cancel').focus(); // so that a stray Enter does nothing
}

// confirmation makes the dialog work.
export function confirmation() {
  onUpdate((changed) => {
    if (changed.includes('server')) allow();
  });
  const dialog = byId('confirm');
  byId('confirm-cancel').addEventListener('click', () => dialog.close());
  form(byId('confirm-form'), byId('confirm-answer'), async () => {
    const { title, request, done } = asked;
    const { path, method = 'POST', body } = request(byId('confirm-reason').value);
    const sent = body ? { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } } : {};
    let answer;
    try {
      answer = await ask(path, { method, ...sent }, 60000);
    } catch (e) {
      if (e.status === 401 || e.status === 403) throw new Error(`${title} needs the operate token: ${e.message}`);
      throw e;
    }
    hide(byId('confirm-submit'), true);
    write(byId('confirm-cancel'), 'Close');
    byId('confirm-cancel').focus();
    return [write(make('p', { class: 'done' }), done(answer), '', long)];
  });
}

const buttons = new Set();

// allow enables the buttons if this client may operate.
function allow() {
  for (const button of buttons) {
    button.disabled = !mayOperate();
    button.title = mayOperate() ? '' : 'This needs the operate token: see Token at the top';
  }
}

// operator makes a button open the dialog about what is() returns, if this client may operate. A
// signal ends that, as when the button is removed.
export function operator(button, is, signal = undefined) {
  button.addEventListener('click', () => confirm(is()));
  buttons.add(button);
  signal?.addEventListener('abort', () => buttons.delete(button));
  allow();
}

// Displays the answers to the forms.
import { make, show, write } from './text.js';

// facts returns a list of names and texts. Texts may be of any length.
export function facts(pairs) {
  const list = make('dl', { class: 'facts' });
  for (const [name, text, kind] of pairs) list.append(make('dt', {}, name), show(make('dd', { class: kind }), String(text)));
  return list;
}

// form calls ask when the form is submitted, and displays the nodes that it returns or the
// error that it throws. While a request is under way, the form cannot be submitted again.
export function form(place, answer, ask) {
  const button = place.querySelector('button[type=submit]');
  let running = false;
  place.addEventListener('submit', async (e) => {
    e.preventDefault();
    if (running) return;
    running = true;
    button.setAttribute('aria-disabled', 'true');
    place.setAttribute('aria-busy', 'true');
    try {
      answer.replaceChildren(...await ask());
    } catch (wrong) {
      answer.replaceChildren(wrongLine(wrong));
    }
    running = false;
    button.removeAttribute('aria-disabled');
    place.removeAttribute('aria-busy');
  });
}

function wrongLine(wrong) {
  const line = make('p', { class: 'wrong' });
  if (wrong.gate) line.append(show(make('strong', {}, ''), `Refused by the gate ${wrong.gate}. `));
  line.append(show(make('span'), wrong.message));
  return line;
}

// verdict formats a decision as one line.
export const verdict = (decision) => {
  if (!decision) return 'none';
  const fault = decision.fault ? ` (after a fault: ${decision.fault})` : '';
  return `${decision.verdict}${fault}`;
};

// heading returns the main line of an answer.
export const heading = (text, kind) => write(make('p', { class: `verdict-line ${kind ?? ''}` }), text);

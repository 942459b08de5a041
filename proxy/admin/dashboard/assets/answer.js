// Shows what came of a question of the boxes that try something.
import { make, show, write } from './text.js';

// facts is a list of names and texts. Texts may be of any length.
export function facts(pairs) {
  const list = make('dl', { class: 'facts' });
  for (const [name, text, kind] of pairs) list.append(make('dt', {}, name), show(make('dd', { class: kind }), String(text)));
  return list;
}

// A form is asked by ask, which returns what to show, or throws why not. While the
// server works, it cannot be asked again.
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

// verdict is a decision as one line.
export const verdict = (decision) => {
  if (!decision) return 'none';
  const fault = decision.fault ? ` (after a fault: ${decision.fault})` : '';
  return `${decision.verdict}${fault}`;
};

// heading is the line that matters most in an answer.
export const heading = (text, kind) => write(make('p', { class: `verdict-line ${kind ?? ''}` }), text);

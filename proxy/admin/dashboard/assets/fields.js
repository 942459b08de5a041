// The fields of commands' bodies, for forms.
import { ask } from './api.js';
import { long, write } from './text.js';

const known = new Map(); // of the API's Command, by what was asked for

// described returns the API's Command, or null if there is none of that name.
async function described(command) {
  if (!known.has(command)) {
    try {
      known.set(command, await ask('/api/v1/command', { query: { command } }));
    } catch {
      return null; // the form's own request says what is wrong
    }
  }
  return known.get(command);
}

// fieldsOf returns the fields of a command's body, as far as they are known.
export const fieldsOf = async (command) => (await described(command))?.fields ?? [];

// offerFields names the fields of the command that is written in a form.
export function offerFields(input, place) {
  const show = async () => {
    const asked = input.value.trim();
    if (!asked) {
      write(place, '');
      return;
    }
    const c = await described(asked);
    if (asked !== input.value.trim()) return;
    const names = (c?.fields ?? []).map((f) => `${f.name} (${f.repeated ? 'list of ' : ''}${f.type}${f.required ? ', required' : ''})`);
    write(place, names.length ? `Fields of ${c.command}: ${names.join(', ')}` : '', '', long);
  };
  input.addEventListener('change', show);
}

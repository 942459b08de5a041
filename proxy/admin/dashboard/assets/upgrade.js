// The last upgrade, in a line of the overview.
import { ask } from './api.js';
import { poll } from './poll.js';
import { announce, onUpdate } from './state.js';
import { count, hide, long, moment, seconds, write } from './text.js';

const every = 30000;

const versions = (u) => `${u.from} to ${u.to || u.program || 'the new program'}`;
const texts = new Map([
  ['running', (u) => `Upgrade under way: from ${versions(u)}.`],
  ['failed', (u) => `Upgrade from ${versions(u)} failed at the step ${u.step}, ${moment(u.begun)}; the old program keeps serving: ${u.error}`],
  ['done', (u) => `Upgraded from ${versions(u)}, ${moment(u.begun)}: ${count(u.moved)} sessions moved, ${count(u.drained)} drained, ${count(u.closed)} closed, after a pause of ${seconds(u.frozen_seconds)}.`],
]);

// upgrade displays the line. A check, and that there was no upgrade yet, are not worth one.
export function upgrade() {
  const line = document.getElementById('upgrade');
  const again = poll(every, async () => {
    const u = await ask('/api/v1/upgrade');
    const text = u.check ? '' : (texts.get(u.result)?.(u) ?? '');
    if (text && text !== line.textContent && !line.hidden) announce(text);
    hide(write(line, text, '', long), text === '');
  });
  onUpdate((changed) => {
    if (changed.includes('live')) again(); // the process that answers may be another one now
  });
}

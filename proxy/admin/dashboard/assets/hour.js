// Requests the last hour of the chosen tenant from the server, and lists what happened in it.
import { ask } from './api.js';
import { poll } from './poll.js';
import { onUpdate, state } from './state.js';
import { clock, hide, long, make, name, write } from './text.js';

const every = 60000; // snapshots continue it meanwhile
const most = 8; // marks in the list
const signs = new Map([['start', '●'], ['reload', '↻'], ['policy', '◆'], ['release', '◇'], ['refused', '✕']]);

// sign is the character that marks have in charts and in the list.
export const sign = (kind) => signs.get(kind) ?? '·';

// showMarks lists the latest marks, the latest first.
function showMarks(marks) {
  const place = document.getElementById('marks');
  const shown = marks.slice(-most).reverse();
  const texts = shown.map((m) => `${clock(m.time)} ${sign(m.kind)} ${m.tenant && !state.tenant ? `${m.tenant}: ` : ''}${m.text}`);
  const rest = marks.length - shown.length;
  if (rest > 0) texts.push(`and ${rest} before`);
  if (place.dataset.shown === texts.join('\n')) return; // a selection stays
  place.dataset.shown = texts.join('\n');
  place.replaceChildren(...texts.map((text) => write(make('li'), text, '', long)));
  hide(place, texts.length === 0);
}

// hour keeps history up to date, and returns a function that requests the last hour at once.
export function hour(history) {
  const again = poll(every, async () => {
    const asked = state.tenant;
    const answer = await ask('/api/v1/last-hour', { query: asked ? { tenant: asked } : {} });
    if (asked !== state.tenant) return; // the next answer is for the other tenant
    history.begin(answer);
  }, (why) => write(document.getElementById('hour-wrong'), why && `The last hour: ${why}`, '', name * 4));
  onUpdate((changed) => {
    if (changed.includes('tenant') || changed.includes('live')) again();
  });
  return { again, showMarks };
}

// Writes text to the page, and formats figures. Text of the server may come from an attacker:
// here it becomes text nodes and values of title, never markup, and nothing else writes to the
// page.

// How many characters of a text are displayed: of names, of others, of long ones. The title
// has all of it, up to longestTitle.
export const name = 64;
const longest = 160;
export const long = 500;
const longestTitle = 4000;

// make returns an element. Attributes are named by this program, never by the server;
// children are nodes or texts.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children);
  return node;
}

// plain replaces control characters, and characters that change the direction of text, which
// could make gnp.exe look like exe.png.
const plain = (text) => String(text ?? '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

// write sets the text of a node, up to room characters, and its title to the whole text or to
// title. It does not touch a node that has the text already, so that selections stay.
export function write(node, text, title = '', room = longest) {
  const whole = plain(text);
  const shown = whole.length > room ? `${whole.slice(0, room - 1)}…` : whole;
  if (node.textContent !== shown) node.textContent = shown;
  const more = (plain(title) || (shown === whole ? '' : whole)).slice(0, longestTitle);
  if (node.title !== more) node.title = more;
  return node;
}

// show writes a text of any length.
export function show(node, text) {
  const shown = plain(text);
  if (node.textContent !== shown) node.textContent = shown;
  return node;
}

// hide hides a node, or shows it.
export function hide(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// number returns value if it is a number, and 0 otherwise.
export const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

const steps = (value, base, units) => {
  let unit = 0;
  // 999.5 would be rounded to 1000, which is wider than all others.
  while (value >= (base === 1024 ? 1023.5 : 999.5) && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(digits) + (units[unit] && ` ${units[unit]}`);
};

// count is a whole number: 9999, then 12.3 k.
export const count = (value) => (number(value) < 10000 ? String(Math.round(number(value))) : steps(number(value), 1000, ['', 'k', 'M', 'G', 'T', 'P']));

// rate is a number per second: 0, 0.3, 12, 4.56 k.
export const rate = (value) => {
  const v = number(value);
  return v > 0 && v < 9.95 ? v.toFixed(1) : steps(v, 1000, ['', 'k', 'M', 'G', 'T', 'P']);
};

// bytes is an amount of memory or traffic: 12 B, 3.40 MiB.
export const bytes = (value) => steps(number(value), 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);

// seconds is a duration: 85 µs, 1.20 ms, 3.40 s.
export const seconds = (value) => {
  const v = number(value);
  if (v === 0) return '0 µs';
  if (v < 0.9995) return steps(v * 1e6, 1000, ['µs', 'ms']);
  return v < 99.5 ? `${v.toFixed(2)} s` : `${Math.round(v)} s`;
};

const two = (n) => String(n).padStart(2, '0');

// clock is the time of day of a date-time.
export const clock = (when) => {
  const t = new Date(when);
  return Number.isNaN(t.getTime()) ? '' : `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
};

// moment is clock with the date, unless that is today.
export const moment = (when, now = new Date()) => {
  const t = new Date(when);
  if (Number.isNaN(t.getTime())) return '';
  const day = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  return t.toDateString() === now.toDateString() ? clock(when) : `${day} ${clock(when)}`;
};

// age is how long ago something was: 45 s, 12 min, 3 h, 9 d.
export const age = (when, now) => {
  const s = Math.max(0, (new Date(now).getTime() - new Date(when).getTime()) / 1000);
  if (Number.isNaN(s)) return '';
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
};

// short is enough of a hash to distinguish it.
export const short = (hash) => String(hash ?? '').slice(0, 12);

// reasons formats counts by name, the largest first: quota 12, action 3.
export const reasons = (counts) => Object.entries(counts ?? {}).filter(([, n]) => number(n) > 0).sort((a, b) => b[1] - a[1])
  .map(([name, n]) => `${name} ${count(n)}`).join(', ');

// sum adds up counts by name.
export const sum = (counts) => Object.values(counts ?? {}).reduce((total, n) => total + number(n), 0);

// asPolicySays and lost part PDUs that were dropped by whether the policy says so: its own
// drops and rate limits, and unicasts to which nobody is a receiver.
const wanted = new Set(['policy', 'over-limit', 'no-holder']);
const part = (counts, isWanted) => Object.fromEntries(Object.entries(counts ?? {}).filter(([why]) => wanted.has(why) === isWanted));
export const asPolicySays = (counts) => part(counts, true);
export const lost = (counts) => part(counts, false);

// id formats the id of a command: 0x0301.
export const id = (n) => `0x${number(n).toString(16).padStart(4, '0')}`;

// The state of the page's connection, and the form for a token.
import { hasToken, useToken } from './api.js';
import { announce, state, update } from './state.js';
import { hide, write } from './text.js';

const byId = (id) => document.getElementById(id);

// access returns a function that displays a state of the stream. It restarts the stream with
// each new token.
export function access(stream) {
  let now = { state: 'connecting' };
  let before = '';
  const show = () => {
    const left = Math.max(0, Math.ceil(((now.until ?? 0) - Date.now()) / 1000));
    const text = {
      connecting: before === 'lost' ? 'Connecting again' : 'Connecting',
      live: 'Live',
      lost: `Stream lost: ${now.why}; trying again in ${left} s`,
      refused: 'Not allowed: a token is needed',
    }[now.state];
    write(byId('stream-text'), text);
    hide(byId('stream-now'), now.state !== 'lost');
  };
  setInterval(() => {
    if (now.state === 'lost') show();
  }, 1000);
  byId('stream-now').addEventListener('click', () => stream.now());
  const openForm = tokenForm(stream);
  return (next) => {
    if (next.state === now.state && next.state === 'live') return;
    if (now.state !== 'connecting') before = now.state;
    now = next;
    byId('stream').dataset.state = now.state;
    document.body.classList.toggle('stale', now.state !== 'live' && state.snapshot !== null);
    show();
    if (now.state === 'live' && before) announce('The stream is back.');
    if (now.state === 'lost' && before !== 'lost') announce('The stream is lost. The figures are old.');
    if (now.state === 'refused') openForm(hasToken() ? `The token was not accepted: ${now.why}` : now.why);
    update({ live: now.state === 'live' });
  };
}

// tokenForm makes the form work. It returns a function that opens it with an error.
function tokenForm(stream) {
  const form = byId('token-form');
  const field = byId('token');
  const toggle = (open) => {
    hide(form, !open);
    byId('token-open').setAttribute('aria-expanded', String(open));
  };
  const restart = () => {
    field.value = '';
    write(byId('token-wanted'), '');
    write(byId('token-open'), hasToken() ? 'Token ✓' : 'Token', hasToken() ? 'A token is in use' : '');
    toggle(false);
    byId('token-open').focus();
    stream.now();
  };
  byId('token-open').addEventListener('click', () => {
    toggle(form.hidden);
    if (!form.hidden) field.focus();
  });
  form.addEventListener('submit', (e) => {
    e.preventDefault();
    if (!field.value.trim()) write(byId('token-wanted'), 'Write the token first.');
    else if (useToken(field.value)) restart();
    else write(byId('token-wanted'), 'A token consists of ASCII letters, digits and signs, without spaces.');
  });
  byId('token-forget').addEventListener('click', () => {
    useToken('');
    restart();
  });
  form.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    toggle(false);
    byId('token-open').focus();
  });
  write(byId('token-open'), hasToken() ? 'Token ✓' : 'Token', hasToken() ? 'A token is in use' : '');
  return (wrong) => {
    toggle(true);
    write(byId('token-wanted'), wrong);
    if (document.activeElement === document.body) field.focus();
  };
}

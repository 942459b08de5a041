// The page of the dashboard: it holds one event stream of the admin API open, asks for
// what is too much for a stream, and shows both.
//
//   sse, stream      the event stream, read by fetch so that it can carry a token
//   api, poll        questions of the API, once and again and again
//   state, history   what all parts look at; the last five minutes
//   text, table, chart, answer   how things are shown
//   overview, tenants, peers, routes, policies, log   the parts that show what happens
//   evaluate, body, compare      the boxes that try something
//   access           how the page is connected, and the token
import { ask } from './api.js';
import { access } from './access.js';
import { compare } from './compare.js';
import { evaluate } from './evaluate.js';
import { History } from './history.js';
import { log } from './log.js';
import { overview } from './overview.js';
import { peers } from './peers.js';
import { policies } from './policies.js';
import { poll } from './poll.js';
import { routes } from './routes.js';
import { onUpdate, update } from './state.js';
import { Stream } from './stream.js';
import { tenants } from './tenants.js';

const history = new History();
let onState = () => {};
const taken = new Map(); // by the name of an event
const stream = new Stream((name, value) => taken.get(name)?.(value), (next) => onState(next));

overview(history);
tenants();
peers();
routes();
taken.set('policy', policies());
taken.set('log', log());
evaluate();
compare();
// All snapshots are charted. Of those that come in one go, as to a page that was asleep,
// the last is shown.
let last = null;
taken.set('snapshot', (snapshot) => {
  history.add(snapshot);
  if (last === null) setTimeout(show);
  last = snapshot;
});
function show() {
  const snapshot = last;
  last = null;
  update({ snapshot });
}
onState = access(stream);

// The limits of tenants change with the configuration only.
const limits = poll(10000, async () => {
  const answer = await ask('/api/v1/tenants');
  update({ known: new Map((answer.tenants ?? []).map((t) => [t.tenant, t])) });
});
onUpdate((changed) => {
  if (changed.includes('live')) limits();
});

// What came while nobody looked is shown at once.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) update({});
});
// A page that is kept for going back to holds no stream.
window.addEventListener('pagehide', () => stream.stop());
window.addEventListener('pageshow', (e) => {
  if (e.persisted) stream.now();
});
stream.now();

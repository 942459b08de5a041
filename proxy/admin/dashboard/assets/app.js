// The dashboard: it keeps one event stream of the admin API open, requests what is too large
// for a stream, and displays both.
//
//   sse, stream      the event stream, read by fetch so that it can carry a token
//   api, poll        requests to the API, single and repeated
//   state, history   the data of all parts; what the charts show
//   text, table, chart, answer, confirm   formatting, display, and the dialog that asks
//   address, view    the tenant and the view in the address
//   overview, hour, troubles, upgrade, cluster, server, tenants, peers, disconnects, routes,
//   audit, releases, policies, log        the parts of the page
//   card             one tenant's part of releases
//   peer, command, policy                 the views
//   evaluate, fields, body, compare       the forms
//   access           the state of the connection, and the token
import { access } from './access.js';
import { address } from './address.js';
import { ask } from './api.js';
import { audit } from './audit.js';
import { cluster } from './cluster.js';
import { command } from './command.js';
import { compare } from './compare.js';
import { confirmation } from './confirm.js';
import { disconnects } from './disconnects.js';
import { evaluate } from './evaluate.js';
import { History } from './history.js';
import { log } from './log.js';
import { overview } from './overview.js';
import { peer } from './peer.js';
import { peers } from './peers.js';
import { policy } from './policy.js';
import { policies } from './policies.js';
import { poll } from './poll.js';
import { releases } from './releases.js';
import { routes } from './routes.js';
import { server } from './server.js';
import { onUpdate, update } from './state.js';
import { Stream } from './stream.js';
import { tenants } from './tenants.js';
import { troubles } from './troubles.js';
import { upgrade } from './upgrade.js';
import { views } from './view.js';

const history = new History();
let onState = () => {};
const handlers = new Map(); // by the name of an event
const stream = new Stream((name, value) => handlers.get(name)?.(value), (next) => onState(next));

confirmation();
const hour = overview(history);
troubles();
upgrade();
cluster();
server();
tenants();
peers();
disconnects();
routes();
audit();
const [releaseEvent, policyEvent, logLine] = [releases(), policies(), log()];
// What happened is marked in the charts.
handlers.set('release', (entry) => {
  releaseEvent(entry);
  hour();
});
handlers.set('policy', (event) => {
  policyEvent(event);
  hour();
});
handlers.set('log', (line) => {
  logLine(line);
  if (/^configuration (reloaded|refused)/.test(line.message)) hour();
});
evaluate();
compare();
views({ peer, command, policy });
address();
// The charts have all snapshots. Of several that arrive at once, as after sleep, only the
// last is displayed.
let last = null;
handlers.set('snapshot', (snapshot) => {
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

// The limits of tenants change only with the configuration.
const limits = poll(10000, async () => {
  const answer = await ask('/api/v1/tenants');
  update({ known: new Map((answer.tenants ?? []).map((t) => [t.tenant, t])) });
});
onUpdate((changed) => {
  if (changed.includes('live')) limits();
});

// A page that becomes visible shows the latest data at once.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) update({});
});
// A page in the back/forward cache has no stream.
window.addEventListener('pagehide', () => stream.stop());
window.addEventListener('pageshow', (e) => {
  if (e.persisted) stream.now();
});
stream.now();

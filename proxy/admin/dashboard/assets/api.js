// Requests to the admin API. The token is only in the header of each request and in this
// tab's storage: not in addresses, which end up in logs and histories.

// A Refusal is a failed request.
export class Refusal extends Error {
  constructor(status, message, gate = '') {
    super(message);
    this.status = status; // 0: there was no answer
    this.gate = gate; // for a policy, the gate that refused it
  }
}

const place = 'switchyard.token';
let token = stored();

// A browser may forbid storage; the token then lasts until the page is loaded again.
function stored() {
  try {
    return sessionStorage.getItem(place) ?? '';
  } catch {
    return '';
  }
}

// useToken sets the token of all further requests; empty is none. It returns false if a
// header cannot hold it.
export function useToken(value) {
  const given = value.trim();
  if (!/^[\x21-\x7e]*$/.test(given)) return false;
  token = given;
  try {
    if (token) sessionStorage.setItem(place, token);
    else sessionStorage.removeItem(place);
  } catch {
    // as in stored
  }
  return true;
}

export const hasToken = () => token !== '';

// request is fetch with the token. It throws a Refusal unless the status is ok.
export async function request(path, { method = 'GET', query = {}, headers = {}, body, signal } = {}) {
  const address = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) address.searchParams.append(name, value);
  const sent = new Headers(headers);
  if (token) sent.set('Authorization', `Bearer ${token}`);
  let response;
  try {
    response = await fetch(address, { method, headers: sent, body, signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch (e) {
    if (signal?.aborted) throw signal.reason?.name === 'TimeoutError' ? new Refusal(0, 'the server took too long to answer; try again') : e;
    throw new Refusal(0, 'the server does not answer');
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

// refusalOf reads the error of a response. One that is not JSON, as from a proxy, is not shown.
async function refusalOf(response) {
  const fallback = `the server answered ${response.status} ${response.statusText}`.trim();
  try {
    const answer = JSON.parse((await response.text()).slice(0, 1 << 20));
    return new Refusal(response.status, String(answer.error || fallback), String(answer.gate ?? ''));
  } catch {
    return new Refusal(response.status, fallback);
  }
}

// ask returns the JSON of a response. It gives up after limit milliseconds.
export async function ask(path, options = {}, limit = 15000) {
  const response = await request(path, { ...options, signal: AbortSignal.timeout(limit) });
  try {
    return await response.json();
  } catch {
    throw new Refusal(0, 'the answer ended early or is not JSON; try again');
  }
}

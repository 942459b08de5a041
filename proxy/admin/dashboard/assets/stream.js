// Keeps the event stream open: it reads it, notices when it is lost or silent, and reconnects
// with increasing delays, up to slowest.
import { Refusal, request } from './api.js';
import { EventReader } from './sse.js';

const first = 500; // milliseconds until the first new attempt
const slowest = 15000;
const silence = 10000; // the server sends every second

// A Stream calls onEvent(name, data) for events, and onState for its state:
//   connecting             no snapshot yet
//   live                   events arrive
//   lost, why, until       it reconnects at that time, in milliseconds
//   refused, why           a token is missing or wrong; it waits for now()
export class Stream {
  #onEvent;
  #onState;
  #reading = null; // AbortController of the attempt that is under way
  #timer = 0; // of the next attempt
  #wait = first;

  constructor(onEvent, onState) {
    this.#onEvent = onEvent;
    this.#onState = onState;
  }

  // now connects at once, and ends an attempt under way.
  now() {
    this.stop();
    this.#wait = first;
    this.#read();
  }

  // stop closes the stream until now is called.
  stop() {
    clearTimeout(this.#timer);
    this.#reading?.abort();
    this.#reading = null;
  }

  async #read() {
    const mine = new AbortController();
    this.#reading = mine;
    this.#onState({ state: 'connecting' });
    let why = 'the server ended the stream';
    try {
      await this.#readUntilEnd(mine);
    } catch (e) {
      why = e.message;
      if (this.#reading === mine && e instanceof Refusal && (e.status === 401 || e.status === 403)) {
        this.#reading = null;
        this.#onState({ state: 'refused', why });
        return;
      }
    }
    if (this.#reading !== mine) return; // stopped, or another attempt has taken over
    this.#reading = null;
    // After a restart of the server, not all pages reconnect at the same moment.
    const wait = this.#wait * (0.8 + 0.4 * Math.random());
    this.#wait = Math.min(2 * this.#wait, slowest);
    this.#onState({ state: 'lost', why, until: Date.now() + wait });
    this.#timer = setTimeout(() => this.#read(), wait);
  }

  async #readUntilEnd(mine) {
    const give = () => mine.abort(new Error(`nothing came for ${silence / 1000} seconds`));
    let watch = setTimeout(give, silence);
    try {
      const response = await request('/api/v1/events', { headers: { Accept: 'text/event-stream' }, signal: mine.signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || mine.signal.aborted) return;
        clearTimeout(watch);
        watch = setTimeout(give, silence);
        for (const event of events.push(value)) this.#handle(event);
      }
    } finally {
      clearTimeout(watch);
      mine.abort(); // closes the connection if reading failed
    }
  }

  #handle({ name, data }) {
    const value = JSON.parse(data);
    if (name === 'snapshot') {
      this.#wait = first;
      this.#onState({ state: 'live' });
    }
    this.#onEvent(name, value);
  }
}

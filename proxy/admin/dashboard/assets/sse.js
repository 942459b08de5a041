// Parses server-sent events from pieces of text. EventSource cannot send a token.

// most is the number of characters that an event may have. The server's have far fewer.
const most = 1 << 24;

// push takes the next piece of text and returns the events that are complete, as {name, data}.
// It ignores ids: what is sent twice is recognized by its content.
export class EventReader {
  #rest = ''; // the beginning of a line
  #return = false; // the last piece ended in CR, and a LF may follow
  #name = '';
  #data = [];
  #size = 0;

  push(text) {
    if (text === '') return [];
    if (this.#return && text.startsWith('\n')) text = text.slice(1);
    this.#return = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) this.#take(line, events);
    if (this.#size + this.#rest.length > most) throw new Error('an event of the server is too long');
    return events;
  }

  #take(line, events) {
    if (line === '') {
      if (this.#data.length) events.push({ name: this.#name || 'message', data: this.#data.join('\n') });
      this.#name = '';
      this.#data = [];
      this.#size = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment, which keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    switch (field) {
      case 'event':
        this.#name = value;
        break;
      case 'data':
        this.#data.push(value);
        this.#size += value.length;
        break;
    }
  }
}

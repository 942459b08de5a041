// Keeps the charted values of the last five minutes, per tenant and for all together.

export const span = 300000; // milliseconds
const room = 310; // samples, one a second and some that come early
// figures are the values of a sample.
export const figures = ['pdusIn', 'pdusOut', 'bytesIn', 'bytesOut', 'p50', 'p99', 'max', 'probe'];
const width = figures.length + 1;

// A Ring holds samples in a fixed amount of memory. Unknown values are NaN.
class Ring {
  #cells = new Float64Array(room * width);
  #next = 0;
  #length = 0;

  add(time, sample) {
    const at = (this.#next % room) * width;
    this.#cells[at] = time;
    figures.forEach((name, i) => { this.#cells[at + 1 + i] = sample[name] ?? NaN; });
    this.#next++;
    this.#length = Math.min(this.#length + 1, room);
  }

  // since returns the samples from that time on, oldest first.
  since(time) {
    const samples = [];
    for (let n = this.#next - this.#length; n < this.#next; n++) {
      const at = (n % room) * width;
      if (this.#cells[at] < time) continue;
      const sample = { time: this.#cells[at] };
      figures.forEach((name, i) => { sample[name] = this.#cells[at + 1 + i]; });
      samples.push(sample);
    }
    return samples;
  }
}

const ofRates = (r) => ({ pdusIn: r?.pdus_in, pdusOut: r?.pdus_out, bytesIn: r?.bytes_in, bytesOut: r?.bytes_out });

// A History takes snapshots and returns samples.
export class History {
  #all = new Ring();
  #tenants = new Map(); // Ring by tenant
  #last = 0; // time of the last sample

  add(snapshot) {
    const time = new Date(snapshot.time).getTime();
    // If the server's clock was set back, lines would go backwards.
    if (!(time > this.#last)) {
      if (!(time < this.#last - 5000)) return;
      this.#all = new Ring();
      this.#tenants.clear();
    }
    this.#last = time;
    this.#all.add(time, { ...ofRates(snapshot.totals?.rates), ...snapshot.latency });
    const present = new Set();
    for (const t of snapshot.tenants ?? []) {
      present.add(t.tenant);
      if (!this.#tenants.has(t.tenant)) this.#tenants.set(t.tenant, new Ring());
      this.#tenants.get(t.tenant).add(time, { ...ofRates(t.rates), probe: t.probe_seconds });
    }
    for (const name of this.#tenants.keys()) if (!present.has(name)) this.#tenants.delete(name);
  }

  // samples returns the samples of a tenant, or of all if the name is empty, and the current
  // time of the server.
  samples(tenant) {
    const ring = tenant ? this.#tenants.get(tenant) : this.#all;
    return { now: this.#last, samples: ring ? ring.since(this.#last - span) : [] };
  }
}

// Keeps the charted values: of the last five minutes from snapshots, and of the last hour from
// the server, which has them from before the page was opened.
//
//   from the server    10:00:00  10:00:10  …  10:58:50      every ten seconds
//   from snapshots                            10:58:51 …     every second
const room = 310; // samples, one a second and some that come early
// figures are the values of a sample.
export const figures = ['pdusIn', 'pdusOut', 'bytesIn', 'bytesOut', 'p50', 'p99', 'max', 'probe', 'lag'];
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
const timeOf = (text) => new Date(text).getTime();

// A History takes snapshots and the server's last hour, and returns samples.
export class History {
  #all = new Ring();
  #tenants = new Map(); // Ring by tenant
  #last = 0; // time of the last sample
  #hour = { tenant: '', since: NaN, samples: [], marks: [] };

  add(snapshot) {
    const time = timeOf(snapshot.time);
    // If the server's clock was set back, lines would go backwards.
    if (!(time > this.#last)) {
      if (!(time < this.#last - 5000)) return;
      this.#all = new Ring();
      this.#tenants.clear();
    }
    this.#last = time;
    const lag = Math.max(0, ...(snapshot.tenants ?? []).map((t) => t.lag ?? 0));
    this.#all.add(time, { ...ofRates(snapshot.totals?.rates), ...snapshot.latency, lag });
    const present = new Set();
    for (const t of snapshot.tenants ?? []) {
      present.add(t.tenant);
      if (!this.#tenants.has(t.tenant)) this.#tenants.set(t.tenant, new Ring());
      this.#tenants.get(t.tenant).add(time, { ...ofRates(t.rates), probe: t.probe_seconds, lag: t.lag });
    }
    for (const name of this.#tenants.keys()) if (!present.has(name)) this.#tenants.delete(name);
  }

  // begin takes the server's last hour of one tenant, or of all together.
  begin(hour) {
    const samples = (hour.samples ?? []).map((s) => ({
      ...Object.fromEntries(figures.map((name) => [name, NaN])),
      time: timeOf(s.time), ...ofRates(s.rates), ...s.latency, probe: s.probe_seconds ?? NaN, lag: s.lag,
    }));
    const marks = (hour.marks ?? []).map((m) => ({ ...m, time: timeOf(m.time) }));
    this.#hour = { tenant: hour.tenant, since: timeOf(hour.since), samples, marks };
  }

  // samples returns the samples of a tenant, or of all if the name is empty, of the last span
  // milliseconds, with the marks in that time, and the current time of the server.
  samples(tenant, span) {
    const from = this.#last - span;
    const ring = (tenant ? this.#tenants.get(tenant) : this.#all)?.since(from) ?? [];
    const known = this.#hour.tenant === tenant ? this.#hour : { samples: [], marks: [] };
    const inTime = (x) => x.time >= from && x.time <= this.#last;
    const earlier = known.samples.filter(inTime);
    // While both have samples, a short span shows all snapshots, and a long one those since the
    // server's last sample: more would not be visible.
    const border = span > 300000 ? (earlier.at(-1)?.time ?? 0) : (ring[0]?.time ?? Infinity);
    const samples = span > 300000 ? [...earlier, ...ring.filter((s) => s.time > border)] : [...earlier.filter((s) => s.time < border), ...ring];
    return { now: this.#last, samples, marks: known.marks.filter(inTime), since: known.since };
  }
}

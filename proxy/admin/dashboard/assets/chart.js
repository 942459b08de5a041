// Draws lines over the last hour or minutes as SVG, with marks of what happened. Pointer and arrow
// keys move a cursor to one moment, whose values the legend shows; without it, the legend shows the
// latest values.
import { sign } from './hour.js';
import { clock, make, show, write } from './text.js';

const svg = 'http://www.w3.org/2000/svg';
const height = 150;
const top = 8;
const bottom = 20; // for the words of the time axis
const left = 64; // for the figures of the other
const right = 6;

// gapOf is the time without a sample that interrupts a line: the server's are ten seconds apart.
const gapOf = (span) => (span > 300000 ? 35000 : 15000);

function draw(parent, tag, attributes) {
  const node = document.createElementNS(svg, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// ceiling returns a round number for the top of an axis: 1, 2 or 5 times a power of ten, or a
// power of two for bytes.
function ceiling(value, binary) {
  if (!(value > 0)) return 1;
  if (binary) return 2 ** Math.ceil(Math.log2(value));
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * ten).find((step) => step >= value * 0.9999);
}

// A Chart draws into a figure. series are {key, name}; format formats a value; least is the
// lowest value for the top of the axis.
export class Chart {
  #format;
  #binary;
  #least;
  #series;
  #picture;
  #title;
  #when;
  #at = -1; // place of the cursor in samples, or none
  #samples = [];
  #marks = [];
  #now = 0;
  #span = 300000; // milliseconds
  #width = 0;

  constructor(figure, { title, format, binary = false, least = 1, series }) {
    this.#format = format;
    this.#binary = binary;
    this.#least = least;
    this.#title = title;
    this.#when = make('span', { class: 'when' });
    this.#series = series.map((s, i) => ({ ...s, value: make('span', { class: 'value' }), label: make('span', { class: 'name' }), i }));
    const legend = make('ul', { class: 'legend' }, ...this.#series.map((s) => make('li', { class: `series-${s.i}` }, make('span', { class: 'swatch', 'aria-hidden': 'true' }), s.label, s.value)));
    this.#picture = document.createElementNS(svg, 'svg');
    for (const [name, value] of Object.entries({ height, tabindex: 0, role: 'slider', 'aria-label': title, 'aria-valuemin': 0 })) this.#picture.setAttribute(name, value);
    figure.append(make('figcaption', {}, make('strong', {}, title), ' ', this.#when, legend), this.#picture);
    this.#picture.addEventListener('pointermove', (e) => this.#point(e.offsetX));
    this.#picture.addEventListener('pointerleave', () => this.#move(-1));
    this.#picture.addEventListener('blur', () => this.#move(-1));
    this.#picture.addEventListener('keydown', (e) => this.#key(e));
    new ResizeObserver(() => this.#paint()).observe(figure);
  }

  // update draws samples and marks up to now. series may give the series other keys and names.
  update({ samples, marks, now, span }, series = this.#series) {
    if (this.#at >= 0 && this.#samples[this.#at]) {
      // The cursor moves to the left with its moment, up to the edge.
      const time = this.#samples[this.#at].time;
      this.#at = samples.findIndex((s) => s.time >= time);
    }
    this.#samples = samples;
    this.#marks = marks;
    this.#now = now;
    this.#span = span;
    this.#series.forEach((s, i) => {
      s.key = series[i]?.key;
      s.name = series[i]?.name ?? '';
      s.label.parentNode.hidden = !s.key;
    });
    this.#paint();
  }

  #x = (time) => left + (1 - (this.#now - time) / this.#span) * (this.#width - left - right);

  #paint() {
    const box = this.#picture.parentNode;
    const width = Math.floor(box.clientWidth);
    if (width < left + 40) return;
    this.#width = width;
    this.#picture.setAttribute('width', width);
    this.#picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#picture.replaceChildren();
    const shown = this.#series.filter((s) => s.key);
    const most = Math.max(this.#least, ...this.#samples.flatMap((s) => shown.map(({ key }) => (Number.isFinite(s[key]) ? s[key] : 0))));
    const ceil = ceiling(most, this.#binary);
    this.#axes(ceil);
    for (const m of this.#marks) this.#mark(m);
    const y = (value) => height - bottom - (value / ceil) * (height - top - bottom);
    for (const s of shown) draw(this.#picture, 'path', { class: `line series-${s.i}`, d: this.#path(s.key, y) });
    const sample = this.#samples[this.#at];
    if (sample) draw(this.#picture, 'line', { class: 'cursor', x1: this.#x(sample.time), x2: this.#x(sample.time), y1: top, y2: height - bottom });
    this.#legend(shown);
  }

  #axes(ceil) {
    for (const share of [0, 0.5, 1]) {
      const y = height - bottom - share * (height - top - bottom);
      draw(this.#picture, 'line', { class: 'grid', x1: left, x2: this.#width - right, y1: y, y2: y });
      draw(this.#picture, 'text', { x: left - 6, y: y + 4, 'text-anchor': 'end' }).textContent = share ? this.#format(share * ceil).replace(/\.0+(?=[ /])/, '') : '0';
    }
    const all = this.#span / 60000;
    const step = this.#width < 420 ? all / 2 : all > 5 ? all / 4 : 1;
    for (let minutes = all; minutes >= 0; minutes -= step) {
      const anchor = minutes === all ? 'start' : minutes === 0 ? 'end' : 'middle';
      const text = minutes ? `${minutes} min${minutes === all ? ' ago' : ''}` : 'now';
      draw(this.#picture, 'text', { x: this.#x(this.#now - minutes * 60000), y: height - 5, 'text-anchor': anchor }).textContent = this.#width < 620 && minutes % all ? `${Number(minutes.toFixed(1))}` : text;
    }
  }

  // mark draws a line at the time of an event, with its sign at the top.
  #mark(m) {
    const x = this.#x(m.time);
    const group = draw(this.#picture, 'g', { class: `mark ${m.kind === 'refused' ? 'bad' : ''}` });
    show(draw(group, 'title', {}), `${clock(m.time)} ${m.text}`.slice(0, 200));
    draw(group, 'line', { x1: x, x2: x, y1: top + 6, y2: height - bottom });
    draw(group, 'text', { x, y: top + 3, 'text-anchor': 'middle' }).textContent = sign(m.kind);
  }

  #path(key, y) {
    let path = '';
    let before = -Infinity;
    for (const s of this.#samples) {
      if (!Number.isFinite(s[key])) continue;
      path += `${s.time - before > gapOf(this.#span) ? 'M' : 'L'}${this.#x(s.time).toFixed(1)} ${y(s[key]).toFixed(1)}`;
      before = s.time;
    }
    return path;
  }

  #legend(shown) {
    const sample = this.#samples[this.#at] ?? this.#samples.at(-1);
    write(this.#when, this.#at >= 0 && sample ? `at ${clock(sample.time)}${this.#marksAt(sample.time)}` : '');
    const values = shown.map((s) => {
      const text = sample && Number.isFinite(sample[s.key]) ? this.#format(sample[s.key]) : '–';
      write(s.label, s.name);
      write(s.value, text);
      return `${s.name} ${text}`;
    });
    const ago = sample ? Math.round((this.#now - sample.time) / 1000) : 0;
    this.#picture.setAttribute('aria-valuemax', this.#span / 1000);
    this.#picture.setAttribute('aria-valuenow', this.#span / 1000 - ago);
    this.#picture.setAttribute('aria-valuetext', `${this.#title}, ${ago ? `${ago} seconds ago` : 'now'}${sample ? this.#marksAt(sample.time) : ''}: ${values.join(', ')}`);
  }

  // marksAt names what happened about that time, within two pixels.
  #marksAt(time) {
    const close = 2 * this.#span / (this.#width - left - right);
    const texts = this.#marks.filter((m) => Math.abs(m.time - time) <= close).map((m) => m.text);
    return texts.length ? `, ${texts.join(', ')}` : '';
  }

  #point(x) {
    const time = this.#now - (1 - (x - left) / (this.#width - left - right)) * this.#span;
    let best = -1;
    this.#samples.forEach((s, i) => {
      if (best < 0 || Math.abs(s.time - time) < Math.abs(this.#samples[best].time - time)) best = i;
    });
    this.#move(best);
  }

  #key(e) {
    const last = this.#samples.length - 1;
    const from = this.#at < 0 ? last : this.#at;
    const to = { ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, PageDown: from - 30, PageUp: from + 30, Home: 0, End: last, Escape: -1 }[e.key];
    if (to === undefined || last < 0) return;
    e.preventDefault();
    this.#move(e.key === 'Escape' ? -1 : Math.min(last, Math.max(0, to)));
  }

  #move(at) {
    if (at === this.#at) return;
    this.#at = at;
    this.#paint();
  }
}

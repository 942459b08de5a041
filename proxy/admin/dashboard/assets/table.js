// Displays rows that change all the time. A row keeps its node in the document, so that a
// selection survives.
import { hide, make, write } from './text.js';

// most is the number of rows displayed. A note counts the others.
const most = 500;

// byOrder compares sort keys: numbers or texts.
const byOrder = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));

// A Table has columns, the first of which names the row:
//   title   of the header
//   cell    (td, row) writes one cell
//   sort    row => sort key; without it the column cannot be sorted
//   number  true for figures, which are aligned right
//   width   a class of style.css that reserves room for the longest figure
//   first   'descending' to sort so at the first click
// key identifies a row over time; classes returns the classes of a row; empty is displayed if
// there are no rows; sorted is the initial {column, descending}; onSort is called when it changes.
export class Table {
  #columns;
  #key;
  #classes;
  #empty;
  #sorted;
  #onSort;
  #rows = []; // what was shown last
  #nodes = new Map(); // tr by key
  #table;
  #body;
  #note;

  constructor(place, { label, columns, key, classes = () => '', empty, sorted, onSort = () => {}, tall = false }) {
    this.#columns = columns.map((c) => ({ ...c })); // several tables can have the same
    this.#key = key;
    this.#classes = classes;
    this.#empty = empty;
    this.#sorted = sorted;
    this.#onSort = onSort;
    this.#body = make('tbody', { role: 'rowgroup' });
    this.#note = make('p', { class: 'note' });
    const head = make('tr', { role: 'row' }, ...this.#columns.map((c) => this.#header(c)));
    this.#table = make('table', { role: 'table' }, make('caption', { class: 'unseen' }, label), make('thead', { role: 'rowgroup' }, head), this.#body);
    // A table that is too wide scrolls, by the keyboard too.
    place.append(make('div', { class: tall ? 'scroll tall' : 'scroll', role: 'region', 'aria-label': label, tabindex: 0 }, this.#table), this.#note);
    this.#inOrder([]);
    write(this.#note, 'Not known yet.');
  }

  get sorted() {
    return this.#sorted;
  }

  #header(column) {
    const th = make('th', { scope: 'col', role: 'columnheader', class: this.#class(column) });
    column.header = th;
    if (!column.sort) {
      th.append(column.title);
      return th;
    }
    const arrow = make('span', { class: 'arrow', 'aria-hidden': 'true' });
    const button = make('button', { type: 'button' }, column.title, arrow);
    button.addEventListener('click', () => this.#sort(column));
    th.append(button);
    return th;
  }

  #class = (column) => [column.number ? 'figure' : '', column.width ?? ''].filter(Boolean).join(' ') || undefined;

  #sort(column) {
    const again = this.#sorted?.column === column.title;
    this.#sorted = { column: column.title, descending: again ? !this.#sorted.descending : column.first === 'descending' };
    this.update(this.#rows);
    this.#onSort(this.#sorted);
  }

  // show hides or shows a column.
  show(title, shown) {
    const column = this.#columns.find((c) => c.title === title);
    if (Boolean(column.hidden) === !shown) return;
    column.hidden = !shown;
    const i = this.#columns.indexOf(column);
    for (const row of this.#table.rows) row.cells[i].hidden = !shown;
  }

  // update displays rows in the order of the sorted column, or else in the given order.
  update(rows) {
    this.#rows = rows;
    const ordered = this.#inOrder(rows).slice(0, most);
    const keys = new Set();
    let before = null;
    for (const row of ordered) {
      const key = this.#key(row);
      if (keys.has(key)) continue;
      keys.add(key);
      const tr = this.#nodes.get(key) ?? this.#make(key);
      const after = before ? before.nextSibling : this.#body.firstChild;
      if (tr !== after) this.#body.insertBefore(tr, after);
      before = tr;
      this.#write(tr, row);
    }
    for (const [key, tr] of this.#nodes) {
      if (keys.has(key)) continue;
      tr.remove();
      this.#nodes.delete(key);
    }
    const left = rows.length - ordered.length;
    write(this.#note, rows.length === 0 ? this.#empty : left > 0 ? `and ${left} more` : '');
    hide(this.#note, this.#note.textContent === '');
  }

  #inOrder(rows) {
    for (const c of this.#columns) {
      if (!c.sort) continue;
      const here = c.title === this.#sorted?.column;
      const how = here ? (this.#sorted.descending ? 'descending' : 'ascending') : 'none';
      if (c.header.getAttribute('aria-sort') !== how) c.header.setAttribute('aria-sort', how);
    }
    const column = this.#columns.find((c) => c.title === this.#sorted?.column);
    if (!column) return rows;
    const sign = this.#sorted.descending ? -1 : 1;
    return rows.map((row) => [column.sort(row), row]).sort((a, b) => sign * byOrder(a[0], b[0])).map(([, row]) => row);
  }

  #make(key) {
    // On a small screen, rows are not displayed as such: roles and labels say what they are.
    const cells = this.#columns.map((c, i) => make(i === 0 ? 'th' : 'td', { scope: i === 0 && 'row', role: i === 0 ? 'rowheader' : 'cell', class: this.#class(c), hidden: Boolean(c.hidden), 'data-label': c.title }));
    const tr = make('tr', { role: 'row' }, ...cells);
    this.#nodes.set(key, tr);
    return tr;
  }

  #write(tr, row) {
    const classes = this.#classes(row);
    if (tr.className !== classes) tr.className = classes;
    this.#columns.forEach((c, i) => c.cell(tr.cells[i], row));
  }
}

// link writes a link to a view or a part into a cell.
export function link(cell, text, href, title = '', room = undefined) {
  let a = cell.firstElementChild;
  if (!a) {
    a = make('a');
    cell.append(a);
  }
  if (a.getAttribute('href') !== href) a.setAttribute('href', href);
  return write(a, text, title, room);
}

// meter draws a bar under the text of a cell: a share from 0 to 1.
export function meter(cell, share) {
  cell.classList.add('meter');
  const shown = share >= 0.05 ? Math.min(1, share) : 0; // less would be a speck
  cell.style.setProperty('--share', shown.toFixed(3));
}

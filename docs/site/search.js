// The search finds the sections that contain all words, headings before texts. The index is loaded
// when the field is used for the first time; it is a script, so that the site also works as files.
"use strict";

const root = document.currentScript.dataset.root;
const field = document.getElementById("search");
const results = document.getElementById("results");
const most = 20; // results shown
let loading = null;

// On a phone the menu begins folded.
if (!matchMedia("(min-width: 60rem)").matches) document.querySelector("nav details").open = false;

function load() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = root + "search-index.js";
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  return loading;
}

// found returns the sections that have all words, best first.
function found(words) {
  const matches = [];
  for (const section of sections) {
    const [, title, heading, text] = section.map((s) => s.toLowerCase());
    let score = 0;
    for (const word of words) {
      if (heading.includes(word)) score += 10;
      else if (title.includes(word)) score += 4;
      else if (text.includes(word)) score += 1;
      else { score = -1; break; }
    }
    if (score > 0) matches.push({ section, score });
  }
  return matches.sort((a, b) => b.score - a.score).slice(0, most);
}

// marked returns the part of a text around the first word, with all words in bold.
function marked(text, words) {
  const lower = text.toLowerCase();
  const first = Math.max(0, Math.min(...words.map((w) => lower.indexOf(w)).filter((i) => i >= 0), text.length) - 60);
  const part = text.slice(first, first + 180);
  const out = document.createElement("small");
  let at = 0;
  const next = () => words.map((w) => [part.toLowerCase().indexOf(w, at), w.length]).filter(([i]) => i >= 0).sort((a, b) => a[0] - b[0])[0];
  for (let hit = next(); hit; hit = next()) {
    const bold = document.createElement("b");
    bold.textContent = part.slice(hit[0], hit[0] + hit[1]);
    out.append(part.slice(at, hit[0]), bold);
    at = hit[0] + hit[1];
  }
  out.append(part.slice(at));
  return out;
}

async function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) { results.hidden = true; return; }
  await load();
  const links = found(words).map(({ section: [href, title, heading, text] }) => {
    const link = document.createElement("a");
    link.href = root + href;
    link.append(heading === title ? title : title + " › " + heading, marked(text, words));
    return link;
  });
  if (links.length === 0) {
    const nothing = document.createElement("p");
    nothing.textContent = "Nothing has all these words.";
    links.push(nothing);
  }
  results.replaceChildren(...links);
  results.hidden = false;
}

// choose moves the choice among the results by a number of places.
function choose(by) {
  const links = [...results.querySelectorAll("a")];
  const now = links.findIndex((l) => l.classList.contains("chosen"));
  const then = Math.max(0, Math.min(links.length - 1, now + by));
  links.forEach((l, i) => l.classList.toggle("chosen", i === then));
  links[then]?.scrollIntoView({ block: "nearest" });
}

field.addEventListener("input", show);
field.addEventListener("focus", show);
field.addEventListener("keydown", (e) => {
  if (e.key === "Escape") { results.hidden = true; field.blur(); }
  if (e.key === "ArrowDown") { choose(1); e.preventDefault(); }
  if (e.key === "ArrowUp") { choose(-1); e.preventDefault(); }
  if (e.key === "Enter") (results.querySelector("a.chosen") ?? results.querySelector("a"))?.click();
});
results.addEventListener("click", (e) => { if (e.target.closest("a")) results.hidden = true; });
document.addEventListener("click", (e) => { if (!results.contains(e.target) && e.target !== field) results.hidden = true; });
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && !e.target.matches("input, textarea")) { field.focus(); e.preventDefault(); }
});

// A JSON value as a tree that opens where one looks: a list of 100,000 costs what is on the screen.

import { el, tell, visible } from "./dom.js";

const CHUNK = 100;
const LONGEST_TEXT = 2000;

/** The tree, with buttons that copy the value, and what `more` says: {"copy as curl": () => text}. */
export function tree(value, more = {}) {
  const copies = { "copy JSON": () => JSON.stringify(value, null, 2), ...more };
  const buttons = Object.entries(copies).map(([name, text]) =>
    el("button", { type: "button", class: "quiet", click: () => copy(text()) }, name),
  );
  return el("div", { class: "tree" }, node(null, value, true), el("p", { class: "tools" }, buttons));
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    tell("copied");
  } catch {
    tell("the browser does not let this page copy");
  }
}

function node(name, value, isOpen) {
  const label = name === null ? null : el("span", { class: "key" }, `${visible(name)}: `);
  if (value === null || typeof value !== "object") return el("div", { class: "leaf" }, label, leaf(value));
  const keys = Array.isArray(value) ? null : Object.keys(value);
  const count = keys ? keys.length : value.length;
  const summary = keys ? `{ ${count} }` : `[ ${count} ]`;
  if (count === 0) return el("div", { class: "leaf" }, label, keys ? "{}" : "[]");
  const details = el("details", { open: isOpen && count <= CHUNK }, el("summary", {}, label, summary));
  let shown = 0;
  const show = () => {
    const last = Math.min(shown + CHUNK, count);
    const nodes = [];
    for (; shown < last; shown += 1) nodes.push(node(keys ? keys[shown] : shown, value[keys ? keys[shown] : shown], false));
    details.append(...nodes);
    if (shown < count) {
      const more = el("button", { type: "button", class: "quiet" }, `${count - shown} more`);
      more.addEventListener("click", () => (more.remove(), show()));
      details.append(more);
    }
  };
  if (details.open) show();
  details.addEventListener("toggle", () => details.open && shown === 0 && show());
  return details;
}

function leaf(value) {
  if (typeof value !== "string") return el("span", { class: value === null ? "null" : typeof value }, String(value));
  const text = visible(value);
  if (text.length <= LONGEST_TEXT) return el("span", { class: "string" }, JSON.stringify(text).replaceAll("\\\\u", "\\u"));
  const cut = el("span", { class: "string" }, text.slice(0, LONGEST_TEXT), "…");
  const more = el("button", { type: "button", class: "quiet" }, `all ${text.length} characters`);
  more.addEventListener("click", () => ((cut.textContent = text), more.remove()));
  return el("span", {}, cut, " ", more);
}

/** A text as one argument of a POSIX shell. */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

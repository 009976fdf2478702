// What a job's page is made of: an element for each event, line, file, attempt and failure. Nothing is asked for here.

import { curl, filePath } from "./api.js";
import { clockTime, duration, el, shownStatus, size, visible } from "./dom.js";
import { copy } from "./tree.js";

const SHOWN_IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"];

/** Why it has failed, and what else is to be known. */
export function troubles(error, warnings) {
  return [warnings.map((text) => el("p", { class: "warning" }, visible(text))), error && el(
    "div", { class: "failure" },
    el("p", {}, el("strong", {}, visible(error.code)), " ", visible(error.message)),
    error.where ? el("p", {}, el("code", {}, visible(error.where)), " ", el("code", {}, visible(error.line ?? ""))) : null,
    error.traceback ? el("pre", {}, visible(error.traceback)) : null,
  )]; // prettier-ignore
}

/** One event; `first` is the moment that the others are counted from. */
export function timelineItem(event, first) {
  const time = { datetime: new Date(event.at * 1000).toISOString(), title: clockTime(event.at) };
  return el("li", { class: event.kind }, el("time", time, `+${duration(event.at - first) || "0"}`),
    el("span", { class: "kind" }, event.kind), el("span", {}, visible(summary(event)))); // prettier-ignore
}

export function logLine({ at, data }) {
  return el("div", { class: `line ${data.level ?? ""}` }, el("time", {}, clockTime(at)),
    el("span", { class: "source" }, visible(data.source ?? "")),
    el("span", { class: "text" }, visible(data.message ?? ""), data.cut ? ` … ${size(data.cut)} more` : null)); // prettier-ignore
}

const shortened = (text) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);
export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function bar(name, value, max, text) {
  const known = Number.isFinite(max) && max > 0;
  const meter = known ? el("progress", { value: Math.min(value, max), max, "aria-label": name }) : null;
  return el("p", { class: "bar" }, el("span", {}, name), meter, el("span", {}, text));
}

function summary({ kind, data, attempt }) {
  const error = data.error ? shortened(`${data.error.code}: ${data.error.message}`) : "";
  const words = {
    started: () => `attempt ${attempt}`,
    called: () => `cold start ${Math.round(data.cold_ms)} ms`,
    fault: () => JSON.stringify(data),
    callback: () => (data.ok ? "agreed" : "refused"),
    status: () => [shownStatus(data.status), ...(data.errors ?? []), ...(data.warnings ?? [])].join(" "),
    push: () => (data.data === undefined ? size(data.size_bytes ?? 0) : shortened(JSON.stringify(data.data))),
    file: () => `${data.name}, ${size(data.size_bytes ?? 0)}`,
    charge: () => `${data.idempotency_key} × ${data.count}`,
    registered: () => String(data.request_id),
    ended: () => `${shownStatus(data.status ?? "")} ${error}`,
    lost: () => error,
  };
  return (words[kind]?.() ?? "").trim();
}

export function files(list) {
  if (list.length === 0) return el("p", { class: "empty" }, "none");
  return el("ul", { class: "files" }, list.map((file) => {
    const path = filePath(file.id);
    const isImage = SHOWN_IMAGES.includes(file.content_type);
    const link = el("a", { href: path, download: file.name }, visible(file.name));
    const image = isImage && el("img", { src: `${path}?inline=1`, alt: visible(file.name), loading: "lazy" });
    return el("li", {}, link, ` ${visible(file.content_type)}, ${size(file.size_bytes)} `,
      el("button", { type: "button", class: "quiet", click: () => copy(curl(path, "-sOJ")) }, "copy as curl"), image);
  })); // prettier-ignore
}

export function attempts(list) {
  if (list.length === 0) return el("p", { class: "empty" }, "none yet");
  return el("table", {}, el("thead", {}, el("tr", {}, ["#", "started", "took", "outcome"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, list.map((one) => el("tr", {}, el("td", {}, one.attempt), el("td", {}, clockTime(one.started_at)),
      el("td", { class: "number" }, one.ended_at ? duration(one.ended_at - one.started_at) : ""),
      el("td", { class: "text" }, visible(one.outcome ?? "running")))))); // prettier-ignore
}

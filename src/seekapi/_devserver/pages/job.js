// One job: what came in, what happened when, what came out, and why it failed.

import { api, curl, filePath, platform } from "./api.js";
import { badge, clockTime, duration, el, fill, size, tell, visible } from "./dom.js";
import { openForm } from "./form.js";
import { listen } from "./live.js";
import { copy, quoted, tree } from "./tree.js";

const FINAL = ["completed", "error", "cancelled"];
const MOST_LOG_LINES = 2000;
const REFRESH_MS = 250;
const SHOWN_IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"];

/** Show job `id` in `main`; returns what ends it, and what the keyboard does here. */
export function showJob(main, id) {
  const view = { head: el("div", { class: "job-head" }), bars: el("div", { class: "bars" }), error: el("div") };
  const parts = Object.fromEntries(["timeline", "input", "output", "files", "log", "attempts"].map((n) => [n, el("div")]));
  const section = (name, title) => el("section", { "aria-label": title }, el("h2", {}, title), parts[name]);
  fill(main, view.head, view.bars, view.error, el("div", { class: "columns" },
    el("div", {}, section("input", "Input"), section("output", "Output"), section("files", "Files")),
    el("div", {}, section("timeline", "Timeline"), section("log", "Log"), section("attempts", "Attempts")))); // prettier-ignore

  const log = el("div", { class: "log", role: "log", tabindex: 0 });
  const timeline = el("ol", { class: "timeline" });
  fill(parts.log, log);
  fill(parts.timeline, timeline);

  const state = { job: null, result: null, events: [], drawn: 0, next: 0, progress: null };
  let timer = 0;
  let clock = 0;
  let isEnded = false;

  async function load() {
    try {
      const [job, result] = await Promise.all([api.job(id), api.result(id)]);
      Object.assign(state, { job, result });
      for (;;) {
        const found = await api.events(id, state.next);
        take(found.events);
        state.next = found.next;
        if (found.events.length === 0) break;
      }
      if (!isEnded) draw();
    } catch (error) {
      if (isEnded) return;
      if (state.job) return tell(error.message);
      fill(main, el("p", { class: "empty" }, visible(error.message)), el("a", { href: "#/" }, "All jobs"));
    }
  }

  function take(events) {
    for (const event of events) {
      if (event.kind === "progress") state.progress = event.data;
      state.events.push(event);
    }
  }

  function draw() {
    drawOnce(view.head, state.job.status, head);
    drawBars();
    drawOnce(view.error, [state.result.error, state.job.warnings], troubles);
    drawOnce(parts.input, state.job.request_payload, () => tree(state.job.request_payload, { "copy as curl": submitAgain }));
    drawOnce(parts.output, state.result.pushes, () => output(state.result.pushes, fetchResult));
    drawOnce(parts.files, state.result.files, () => files(state.result.files));
    drawOnce(parts.attempts, state.result.attempts, () => attempts(state.result.attempts));
    drawNewEvents();
    clearInterval(clock);
    if (!FINAL.includes(state.job.status)) clock = setInterval(drawBars, 200);
  }

  // Drawn anew only if the value has changed: a tree that was opened stays open, and a button stays under the finger.
  function drawOnce(element, value, make) {
    const text = JSON.stringify(value);
    if (element.shown !== text) fill(element, make());
    element.shown = text;
  }

  function head() {
    const { job } = state;
    const isFinal = FINAL.includes(job.status);
    const id = el("code", {}, visible(job.job_id));
    const buttons = [
      el("button", { type: "button", click: rerun, title: "r" }, "Rerun"),
      el("button", { type: "button", click: edit, title: "e" }, "Edit and rerun"),
      isFinal ? null : el("button", { type: "button", class: "danger", click: cancel, title: "c" }, "Cancel"),
    ];
    document.title = `${job.status} ${job.job_id.slice(0, 8)}`;
    return [el("h2", {}, badge(job.status), " ", id), el("p", { class: "tools" }, buttons)];
  }

  function drawBars() {
    const { result, job, progress } = state;
    const attempt = result.attempts.at(-1);
    const bars = [];
    if (attempt) {
      // The handler's time begins when it is called; until then its process starts.
      const began = state.events.findLast(({ kind }) => kind === "called")?.at ?? attempt.started_at;
      const until = attempt.ended_at ?? Date.now() / 1000;
      const limit = attempt.deadline_at ? attempt.deadline_at - began : null;
      const used = Math.max(0, until - began);
      const text = limit ? `${duration(used)} of ${duration(limit)}` : duration(used);
      bars.push(bar("Time", used, limit, text));
    }
    if (progress) {
      const text = `${progress.done}${progress.total ? ` of ${progress.total}` : ""} ${visible(progress.message ?? "")}`;
      bars.push(bar("Progress", progress.done, progress.total, text));
    }
    const charged = result.metered_event_count;
    const counts = [plural(result.pushes.length, "push", "pushes"), plural(result.files.length, "file", "files")];
    const shown = `${result.next ? "at least " : ""}${counts.join(", ")}`;
    bars.push(el("p", {}, `${shown}, ${charged} charged, submitted ${job.registered_datetime}`));
    fill(view.bars, bars);
  }

  function troubles() {
    const { error } = state.result;
    const warnings = state.job.warnings ?? [];
    return [warnings.map((text) => el("p", { class: "warning" }, visible(text))), error && el(
      "div", { class: "failure" },
      el("p", {}, el("strong", {}, visible(error.code)), " ", visible(error.message)),
      error.where ? el("p", {}, el("code", {}, visible(error.where)), " ", el("code", {}, visible(error.line ?? ""))) : null,
      error.traceback ? el("pre", {}, visible(error.traceback)) : null,
    )]; // prettier-ignore
  }

  // What has happened stays as it is: only what is new is added.
  function drawNewEvents() {
    const first = state.events[0]?.at ?? 0;
    const wasAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    for (; state.drawn < state.events.length; state.drawn += 1) {
      const event = state.events[state.drawn];
      if (event.kind === "log") log.append(logLine(event));
      else if (event.kind !== "progress") timeline.append(timelineItem(event, first));
    }
    while (log.childElementCount > MOST_LOG_LINES) log.firstChild.remove();
    if (wasAtEnd) log.scrollTop = log.scrollHeight;
  }

  const submitAgain = () => {
    const body = quoted(JSON.stringify(state.job.request_payload));
    return curl(`${platform.prefix}/jobs`, "-s -H 'Content-Type: application/json' -d", body);
  };
  const fetchResult = () => curl(`${platform.prefix}/jobs/${encodeURIComponent(id)}/result`, "-s");

  async function act(work) {
    try {
      return await work();
    } catch (error) {
      tell(error.message);
      return null;
    }
  }

  async function rerun() {
    const job = await act(() => api.rerun(id));
    if (job) location.hash = `#/jobs/${encodeURIComponent(job.job_id)}`;
  }

  const edit = () => state.job && openForm("Edit and rerun", state.job.request_payload, (input) => api.rerun(id, input));
  const cancel = () => act(() => api.cancel(id)).then(load);

  const stop = listen((event) => {
    if (event.job_id === id && !timer) timer = setTimeout(() => ((timer = 0), load()), REFRESH_MS);
  });
  load();
  return {
    end: () => ((isEnded = true), stop(), clearTimeout(timer), clearInterval(clock)),
    keys: { r: rerun, e: edit, c: cancel, Escape: () => (location.hash = "#/") },
    selectedId: () => id,
  };
}

function timelineItem(event, first) {
  const time = { datetime: new Date(event.at * 1000).toISOString(), title: clockTime(event.at) };
  return el("li", { class: event.kind }, el("time", time, `+${duration(event.at - first) || "0"}`),
    el("span", { class: "kind" }, event.kind), el("span", {}, visible(summary(event)))); // prettier-ignore
}

function logLine({ at, data }) {
  return el("div", { class: `line ${data.level ?? ""}` }, el("time", {}, clockTime(at)),
    el("span", { class: "source" }, visible(data.source ?? "")),
    el("span", { class: "text" }, visible(data.message ?? ""))); // prettier-ignore
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function bar(name, value, max, text) {
  const known = Number.isFinite(max) && max > 0;
  const meter = known ? el("progress", { value: Math.min(value, max), max, "aria-label": name }) : null;
  return el("p", { class: "bar" }, el("span", {}, name), meter, el("span", {}, text));
}

function summary({ kind, data, attempt }) {
  const error = data.error ? `${data.error.code}: ${data.error.message}` : "";
  const words = {
    started: () => `attempt ${attempt}`,
    called: () => `cold start ${Math.round(data.cold_ms)} ms`,
    fault: () => JSON.stringify(data),
    retry: () => JSON.stringify(data),
    status: () => [data.status, ...(data.errors ?? []), ...(data.warnings ?? [])].join(" "),
    push: () => (data.data === undefined ? size(data.size_bytes ?? 0) : JSON.stringify(data.data).slice(0, 120)),
    file: () => `${data.name}, ${size(data.size_bytes ?? 0)}`,
    charge: () => `${data.idempotency_key} × ${data.count}`,
    registered: () => String(data.request_id),
    ended: () => `${data.status ?? ""} ${error}`,
    lost: () => error,
  };
  return (words[kind]?.() ?? "").trim();
}

function output(pushes, command) {
  if (pushes.length === 0) return el("p", { class: "empty" }, "nothing was pushed");
  return el("ol", { class: "pushes" }, pushes.map((push) => el("li", {}, tree(push.data, { "copy as curl": command }))));
}

function files(list) {
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

function attempts(list) {
  if (list.length === 0) return el("p", { class: "empty" }, "none yet");
  return el("table", {}, el("thead", {}, el("tr", {}, ["", "started", "took", "outcome"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, list.map((one) => el("tr", {}, el("td", {}, one.attempt), el("td", {}, clockTime(one.started_at)),
      el("td", { class: "number" }, one.ended_at ? duration(one.ended_at - one.started_at) : ""),
      el("td", {}, visible(one.outcome ?? "running")))))); // prettier-ignore
}

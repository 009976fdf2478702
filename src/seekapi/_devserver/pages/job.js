// One job: what came in, what happened when, what came out, and why it failed.

import { api, curl, MOST_EVENTS, platform } from "./api.js";
import { badge, duration, el, fill, moment, oneAtATime, shownStatus, tell, visible } from "./dom.js";
import { openForm } from "./form.js";
import { attempts, bar, files, logLine, plural, timelineItem, troubles } from "./job_parts.js";
import { listen } from "./live.js";
import { copy, quoted, tree } from "./tree.js";

const FINAL = ["completed", "error", "cancelled"];
const MOST_LOG_LINES = 2000;
// So many outputs are shown, and so many more each time that one asks for them.
const OUTPUTS = 50;
const REFRESH_MS = 250;

/** Show job `id` in `main`; returns what ends it, and what the keyboard does here. */
export function showJob(main, id) {
  const view = { head: el("div", { class: "job-head" }), bars: el("div", { class: "bars" }), error: el("div") };
  const page = el("div", { hidden: true });
  const absent = el("div");
  const parts = Object.fromEntries(["timeline", "input", "output", "files", "log", "attempts"].map((n) => [n, el("div")]));
  const section = (name, title) => el("section", { "aria-label": title }, el("h2", {}, title), parts[name]);
  fill(main, absent, page);
  fill(page, view.head, view.bars, view.error, el("div", { class: "columns" },
    el("div", {}, section("input", "Input"), section("output", "Output"), section("files", "Files")),
    el("div", {}, section("timeline", "Timeline"), section("log", "Log"), section("attempts", "Attempts")))); // prettier-ignore

  const title = el("h2");
  const cancelButton = el("button", { type: "button", class: "danger", click: cancel, title: "c" }, "Cancel");
  const earlier = el("p", { class: "empty", hidden: true });
  const log = el("div", { class: "log", role: "log", "aria-label": "Lines", tabindex: 0 });
  const timeline = el("ol", { class: "timeline", "aria-label": "Events", tabindex: 0 });
  const outputs = el("ol", { class: "pushes" });
  const noOutput = el("p", { class: "empty" }, "nothing was pushed");
  const moreOutputs = el("button", { type: "button", click: () => ((state.wanted += OUTPUTS), drawOutputs()) });
  fill(view.head, title, el("p", { class: "tools" },
    el("button", { type: "button", click: rerun, title: "r" }, "Rerun"),
    el("button", { type: "button", click: edit, title: "e" }, "Edit and rerun"), cancelButton)); // prettier-ignore
  fill(parts.log, earlier, log);
  fill(parts.timeline, timeline);
  fill(parts.output, noOutput, outputs, moreOutputs);

  // `undrawn` are events; `next` is where those after them begin, `first` and `called` are moments of those before.
  const state = { job: null, result: null, undrawn: [], next: 0, first: null, called: null, progress: null, lines: 0, wanted: OUTPUTS };
  let timer = 0;
  let clock = 0;
  let isEnded = false;

  const load = oneAtATime(async () => {
    try {
      const [job, result] = await Promise.all([api.job(id), api.result(id)]);
      Object.assign(state, { job, result });
      for (;;) {
        const found = await api.events(id, state.next);
        take(found.events);
        state.next = found.next;
        if (found.events.length < MOST_EVENTS || isEnded) break;
      }
      if (!isEnded) draw();
    } catch (error) {
      if (isEnded) return;
      if (state.job) return tell(error.message);
      fill(absent, el("p", { class: "empty" }, visible(error.message)), el("a", { href: "#/" }, "All jobs"));
    }
  });

  function take(events) {
    for (const event of events) {
      state.first ??= event.at;
      if (event.kind === "called") state.called = event.at;
      if (event.kind === "progress") state.progress = event.data;
      else state.undrawn.push(event);
    }
  }

  function draw() {
    fill(absent);
    page.hidden = false;
    drawOnce(title, state.job.status, head);
    drawBars();
    drawOnce(view.error, [state.result.error, state.job.warnings], () => troubles(state.result.error, state.job.warnings ?? []));
    drawOnce(parts.input, state.job.request_payload, () => tree(state.job.request_payload, { "copy as curl": submitAgain }));
    drawOutputs();
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
    cancelButton.hidden = FINAL.includes(job.status);
    document.title = `${shownStatus(job.status)} ${job.job_id.slice(0, 8)}`;
    return [badge(job.status), " ", el("code", {}, visible(job.job_id))];
  }

  function drawBars() {
    const { result, job, progress } = state;
    const attempt = result.attempts.at(-1);
    const bars = [];
    if (attempt) {
      // The handler's time begins when it is called; until then its process starts.
      const began = state.called ?? attempt.started_at;
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
    bars.push(el("p", {}, `${shown}, ${charged} charged, submitted `, moment(Date.parse(job.registered_datetime) / 1000)));
    fill(view.bars, bars);
  }

  // What was pushed stays pushed, and what has happened stays as it is: only what is new is added.
  function drawOutputs() {
    const { pushes } = state.result;
    const fresh = pushes.slice(outputs.childElementCount, state.wanted);
    outputs.append(...fresh.map((push) => el("li", {}, tree(push.data, { "copy as curl": fetchResult }))));
    noOutput.hidden = pushes.length > 0;
    moreOutputs.hidden = pushes.length <= state.wanted;
    moreOutputs.textContent = `${pushes.length - state.wanted} more`;
  }

  function drawNewEvents() {
    const lines = state.undrawn.filter(({ kind }) => kind === "log");
    const others = state.undrawn.filter(({ kind }) => kind !== "log");
    state.undrawn = [];
    keepAtEnd(timeline, () => timeline.append(...others.map((event) => timelineItem(event, state.first))));
    keepAtEnd(log, () => {
      log.append(...lines.slice(-MOST_LOG_LINES).map(logLine));
      while (log.childElementCount > MOST_LOG_LINES) log.firstChild.remove();
    });
    state.lines += lines.length;
    drawOnce(earlier, state.lines - log.childElementCount, () => [`${state.lines - log.childElementCount} lines before these `,
      el("button", { type: "button", class: "quiet", click: () => copy(fetchLog()) }, "copy as curl")]); // prettier-ignore
    earlier.hidden = state.lines === log.childElementCount;
  }

  const submitAgain = () => {
    const body = quoted(JSON.stringify(state.job.request_payload));
    return curl(`${platform.prefix}/jobs`, "-s -H 'Content-Type: application/json' -d", body);
  };
  const fetchResult = () => curl(`${platform.prefix}/jobs/${encodeURIComponent(id)}/result`, "-s");
  const fetchLog = () => curl(`${platform.prefix}/jobs/${encodeURIComponent(id)}/events?kinds=log`, "-s");

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

  function edit() {
    if (state.job) openForm("Edit and rerun", state.job.request_payload, (input) => api.rerun(id, input));
  }

  async function cancel() {
    await act(() => api.cancel(id));
    load();
  }

  const stop = listen((event) => {
    if (event.job_id === id && !timer) timer = setTimeout(() => ((timer = 0), load()), REFRESH_MS);
  });
  load();
  return {
    end: () => ((isEnded = true), stop(), clearTimeout(timer), clearInterval(clock)),
    keys: { r: rerun, e: edit, c: cancel, Escape: () => (location.hash = "#/") },
    selectedId: () => id,
    reload: load,
  };
}

/** Add to a box that scrolls; who looked at its end goes on looking at its end. */
function keepAtEnd(box, add) {
  const wasAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
  add();
  if (wasAtEnd) box.scrollTop = box.scrollHeight;
}

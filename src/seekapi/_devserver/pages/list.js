// The list of jobs: the newest first, filtered by status and text, followed live.

import { api } from "./api.js";
import { badge, duration, el, fill, moment, oneAtATime, shownStatus, tell, visible } from "./dom.js";
import { listen } from "./live.js";

const PAGE = 100;
const STATUSES = ["pending", "queued", "validating", "processing", "completed", "error", "cancelled"];
// Each page that is shown is asked for again at most this often, however many events come in.
const REFRESH_MS = 300;
// Where the keyboard is when one comes back to the list.
let lastOpened = "";

/** Show the list in `main`; returns what ends it, and what the keyboard does here. */
export function showList(main) {
  const status = el("select", { "aria-label": "Status", change: reload }, el("option", { value: "" }, "all"));
  status.append(...STATUSES.map((name) => el("option", { value: name }, shownStatus(name))));
  const text = el("input", { type: "search", placeholder: "id or input  (/)", "aria-label": "Filter", input: () => ((pages = 1), later()) });
  const counts = el("p", { class: "counts" });
  const body = el("tbody");
  const older = el("button", { type: "button", click: loadOlder, hidden: true }, "Older jobs");
  const columns = ["Status", "Job", "Submitted", "Took", "Pushes", "Files", "Charged", "Input"];
  const head = el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name))));
  const table = el("table", { class: "jobs" }, el("caption", { class: "visually-hidden" }, "Jobs, the newest first"), head, body);
  const empty = el("p", { class: "empty", hidden: true }, "No jobs here. Press n to submit one, or: ",
    el("code", {}, `seekapi call '{"name": "world"}'`)); // prettier-ignore
  fill(main, el("div", { class: "filters" }, status, text, counts), el("div", { class: "wide" }, table), empty, older);

  let rows = [];
  let pages = 1;
  let timer = 0;
  let isEnded = false;

  const load = oneAtATime(async () => {
    try {
      const found = await shownPages();
      if (isEnded) return;
      rows = found.jobs;
      draw(found);
    } catch (error) {
      if (!isEnded) tell(error.message);
    }
  });

  /** What the server says, with the rows of every page that is shown: each begins after the last row of the one before. */
  async function shownPages() {
    const filter = { limit: PAGE, status: status.value, q: text.value };
    const found = await api.overview(filter);
    let page = found.jobs;
    for (let number = 1; number < pages && page.length === PAGE; number++) {
      page = (await api.overview({ ...filter, before: page.at(-1).number })).jobs;
      found.jobs.push(...page);
    }
    return found;
  }

  function draw(found) {
    const selected = selectedId() ?? lastOpened;
    const focused = document.activeElement.closest("tr")?.dataset.id;
    const old = new Map([...body.children].map((line) => [line.dataset.id, line]));
    // A row that has not changed stays where it is: whatever is taken out, if only for a moment, loses the focus.
    const lines = rows.map((job) => {
      const known = old.get(job.job_id);
      old.delete(job.job_id);
      if (known?.dataset.state === JSON.stringify(job)) return known;
      const fresh = row(job);
      known?.replaceWith(fresh);
      return fresh;
    });
    old.forEach((line) => line.remove());
    lines.forEach((line, index) => {
      if (line !== body.children[index]) body.insertBefore(line, body.children[index] ?? null);
      if (line.dataset.id === selected) line.setAttribute("aria-selected", "true");
      if (line.dataset.id === focused) line.querySelector("a").focus({ preventScroll: true });
    });
    older.hidden = rows.length < pages * PAGE;
    empty.hidden = rows.length > 0;
    const some = Object.entries(found.counts).filter(([, count]) => count > 0);
    fill(counts, some.map(([name, count]) => el("span", {}, badge(name), ` ${count} `)));
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => ((timer = 0), load()), REFRESH_MS * pages);
  }

  function reload() {
    pages = 1;
    load();
  }

  function loadOlder() {
    pages *= 2;
    load();
  }

  function move(step) {
    const all = [...body.children];
    if (all.length === 0) return;
    const at = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    all.forEach((one) => one.setAttribute("aria-selected", String(one === next)));
    next.querySelector("a").focus();
    next.scrollIntoView({ block: "nearest" });
  }

  const selectedId = () => body.querySelector("[aria-selected=true]")?.dataset.id;
  const stop = listen(() => timer || later());
  load();
  return {
    end: () => ((isEnded = true), (lastOpened = selectedId() ?? lastOpened), stop(), clearTimeout(timer)),
    keys: { j: () => move(1), k: () => move(-1), "/": () => text.focus(), Enter: () => open(selectedId()) },
    selectedId,
    reload: load,
  };
}

function open(id) {
  if (id) location.hash = `#/jobs/${encodeURIComponent(id)}`;
}

/** A code, which may go on in the next line after each of its words. */
const breakable = (code) => visible(code).split("_").flatMap((word, index) => (index ? ["_", el("wbr"), word] : [word]));

function row(job) {
  const took = job.started_at && job.ended_at ? duration(job.ended_at - job.started_at) : "";
  const charged = job.charge_limit ? `${job.metered_event_count} of ${job.charge_limit}` : job.metered_event_count || "";
  const cells = [
    el("td", { class: "status" }, badge(job.status), job.status === "error" && [" ", ...breakable(job.error_code ?? "")]),
    el("td", {}, el("a", { href: `#/jobs/${encodeURIComponent(job.job_id)}` }, visible(job.job_id).slice(0, 8))),
    el("td", {}, moment(job.registered_at)),
    el("td", { class: "number" }, took),
    el("td", { class: "number" }, job.pushes || ""),
    el("td", { class: "number" }, job.files || ""),
    el("td", { class: "number" }, charged),
    el("td", { class: "input" }, visible(job.input)),
  ];
  const line = el("tr", { "data-id": job.job_id, "data-state": JSON.stringify(job) }, cells);
  line.addEventListener("click", (click) => {
    lastOpened = job.job_id;
    if (!click.target.closest("a")) open(job.job_id);
  });
  return line;
}

// The page: which view the address names, the keyboard, and what stands in the header.

import { api, platform } from "./api.js";
import { el, fill, tell, visible } from "./dom.js";
import { refresh as refreshFaults, toggleFaults } from "./faults.js";
import { newJob } from "./form.js";
import { showJob } from "./job.js";
import { showList } from "./list.js";
import { listen, rewind, start } from "./live.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
let view = null;

function route() {
  view?.end();
  const [, kind, id] = location.hash.split("/");
  document.title = platform.title ?? "seekapi dev";
  view = kind === "jobs" && id ? showJob(main, decoded(id)) : showList(main);
}

/** Another view: from its top, and that is where the keyboard is. */
function go() {
  route();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

function decoded(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // Typed by hand: the server knows no such job, and says so.
  }
}

function drawWorker() {
  const { worker } = platform;
  const text = worker ? `${worker.name} → ${worker.target} (deadline ${worker.timeout_s} s)` : "platform alone: no worker";
  const error = worker?.error;
  fill(document.getElementById("worker"), visible(text), error && el("strong", { class: "problem" }, ` ${visible(error.message)}`));
}

async function refreshPlatform() {
  const [about, worker] = await Promise.all([api.about(), api.worker()]);
  Object.assign(platform, about, { worker: worker.platform_only ? null : worker });
  document.getElementById("title").textContent = platform.title;
  drawWorker();
}

const everywhere = {
  n: newJob,
  b: toggleFaults,
  r: async () => {
    const id = view?.selectedId();
    if (!id) return;
    const job = await api.rerun(id).catch((error) => tell(error.message));
    if (job) location.hash = `#/jobs/${encodeURIComponent(job.job_id)}`;
  },
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (isTyping) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "Enter" && event.target.matches?.("a, button, summary")) return;
  const action = view?.keys[event.key] ?? everywhere[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

document.getElementById("new-job").addEventListener("click", newJob);
document.getElementById("break-it").addEventListener("click", toggleFaults);
window.addEventListener("hashchange", go);

let wasLost = false;

function showConnection(isConnected) {
  fill(connection, el("span", { class: isConnected ? "on" : "off" }, isConnected ? "live" : "no connection"));
  if (isConnected && wasLost) refreshPlatform().then(seenAnew, () => {});
  wasLost = !isConnected;
}

/** Connected again, perhaps to a server that was started meanwhile: what is shown may be out of date. */
function seenAnew() {
  rewind(platform.seq);
  view?.reload();
}

try {
  await refreshPlatform();
  start(platform.seq, platform.event_kinds, showConnection);
  let timer = 0;
  listen((event) => {
    if (event.kind === "fault") timer ||= setTimeout(() => ((timer = 0), refreshFaults()), 200);
  });
} catch (error) {
  tell(error.message);
}
route();

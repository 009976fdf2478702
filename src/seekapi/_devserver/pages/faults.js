// Break it: faults on purpose, armed for the next time that their moment comes.

import { api } from "./api.js";
import { el, fill, tell, visible } from "./dom.js";

const panel = document.getElementById("faults");
const button = document.getElementById("break-it");

/** Open or close the panel. */
export async function toggleFaults() {
  panel.hidden = !panel.hidden;
  button.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) await refresh();
}

/** Show what is armed, if the panel is open: a fault that struck is armed no more. */
export async function refresh() {
  if (panel.hidden) return;
  try {
    draw(await api.faults());
  } catch (error) {
    tell(error.message);
  }
}

function draw({ names, armed }) {
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset.fault ?? "" : null;
  const isArmed = (known) => armed.some(({ name, operation }) => name === known.fault && operation === known.operation);
  fill(panel, el("p", {}, "Armed once, for the next job that comes by:"), el("p", { class: "tools" },
    names.map((known) => el("button", {
      type: "button", "aria-pressed": String(isArmed(known)), "data-fault": known.name, click: () => change(api.arm(known.name)),
    }, visible(known.title))),
    armed.length > 0 ? el("button", { type: "button", click: () => change(api.disarm()) }, "Disarm all") : null)); // prettier-ignore
  if (focused !== null) (panel.querySelector(`[data-fault="${focused}"]`) ?? panel.querySelector("button")).focus();
}

async function change(work) {
  try {
    await work;
  } catch (error) {
    tell(error.message);
  }
  await refresh();
}

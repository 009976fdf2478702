// The dialog that submits a job: a field for each property that the worker's schema names, or JSON.

import { api, platform } from "./api.js";
import { el, fill, tell } from "./dom.js";

const dialog = document.getElementById("dialog");

/** Ask for an input that starts as `value`; `send(input)` submits it, and the page goes on to the new job. */
export function openForm(title, value, send = api.submit) {
  const schema = resolved(platform.worker?.schema, platform.worker?.schema);
  const hasFields = schema?.properties && Object.keys(schema.properties).length > 0;
  const problem = el("p", { class: "problem", role: "alert" });
  const place = el("div");
  let read = () => value;
  let isSending = false;

  function asJson(current) {
    const area = el("textarea", { rows: 12, spellcheck: "false", "aria-label": "Input as JSON" });
    area.value = JSON.stringify(current, null, 2);
    read = () => JSON.parse(area.value);
    fill(place, area);
    area.focus();
  }

  function asFields(current) {
    const fields = Object.entries(schema.properties).map(([name, property]) => field(name, property, current?.[name], schema));
    read = () => {
      const given = fields.map(({ name, get }) => [name, get()]).filter(([, one]) => one !== undefined);
      return { ...extras(current, schema), ...Object.fromEntries(given) };
    };
    fill(place, fields.map(({ element }) => element));
    place.querySelector("input, select, textarea")?.focus();
  }

  const toggle = el("button", { type: "button", class: "quiet", hidden: !hasFields }, "as JSON");
  toggle.addEventListener("click", () => {
    try {
      const current = read();
      const isJson = toggle.textContent === "as JSON";
      problem.textContent = "";
      (isJson ? asJson : asFields)(current);
      toggle.textContent = isJson ? "as form" : "as JSON";
    } catch (error) {
      problem.textContent = error.message;
    }
  });

  async function submit(event) {
    event.preventDefault();
    if (isSending) return;
    isSending = true;
    try {
      problem.textContent = "";
      const job = await send(read());
      dialog.close();
      location.hash = `#/jobs/${encodeURIComponent(job.job_id)}`;
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      isSending = false;
    }
  }

  const buttons = el("p", { class: "tools" }, el("button", { type: "submit" }, "Submit"), toggle,
    el("button", { type: "button", click: () => dialog.close() }, "Close")); // prettier-ignore
  fill(dialog, el("form", { submit }, el("h2", { id: "dialog-title" }, title), place, problem, buttons));
  dialog.showModal();
  if (hasFields && isFlat(value)) asFields(value);
  else {
    asJson(value);
    toggle.textContent = "as form";
  }
}

const isFlat = (value) => value === null || (typeof value === "object" && !Array.isArray(value));

/** What the schema does not name stays as it was. */
function extras(current, schema) {
  return Object.fromEntries(Object.entries(current ?? {}).filter(([name]) => !(name in schema.properties)));
}

/** A schema with its `$ref` followed, as far as that leads inside the document. */
function resolved(schema, root) {
  for (let step = 0; schema?.$ref?.startsWith("#/") && step < 20; step += 1) {
    schema = schema.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root);
  }
  return schema;
}

/** One field: its element, and what is in it; undefined if nothing is. */
function field(name, property, value, root) {
  const shape = resolved(property, platform.worker?.schema) ?? {};
  const id = `field-${name}`;
  const isRequired = (root.required ?? []).includes(name);
  const start = value !== undefined ? value : shape.default;
  const { input, get } = control(shape, start, isRequired);
  input.id = id;
  if (shape.description) input.setAttribute("aria-describedby", `${id}-doc`);
  const label = el("label", { for: id }, name, isRequired ? el("span", { class: "required" }, " required") : null);
  const doc = shape.description ? el("small", { id: `${id}-doc` }, shape.description) : null;
  return { name, get, element: el("p", {}, label, input, doc) };
}

function control(shape, start, isRequired) {
  const nothing = (text) => (text === "" && !isRequired ? undefined : text);
  if (Array.isArray(shape.enum)) {
    const input = el("select", {}, isRequired ? null : el("option", { value: "" }, ""),
      shape.enum.map((one, index) => el("option", { value: index, selected: one === start }, String(one)))); // prettier-ignore
    return { input, get: () => (input.value === "" ? undefined : shape.enum[Number(input.value)]) };
  }
  if (shape.type === "boolean") {
    const input = el("input", { type: "checkbox", checked: start === true });
    return { input, get: () => input.checked };
  }
  if (shape.type === "integer" || shape.type === "number") {
    const step = shape.type === "integer" ? 1 : "any";
    const input = el("input", { type: "number", step, min: shape.minimum, max: shape.maximum, value: start ?? "" });
    return { input, get: () => (input.value === "" ? undefined : Number(input.value)) };
  }
  if (shape.type === "string") {
    const isSecret = shape.writeOnly === true || shape.format === "password";
    const input = el("input", { type: isSecret ? "password" : "text", value: start ?? "", autocomplete: "off" });
    return { input, get: () => nothing(input.value) };
  }
  const input = el("textarea", { rows: 3, spellcheck: "false", placeholder: "JSON" });
  input.value = start === undefined ? "" : JSON.stringify(start, null, 2);
  return { input, get: () => (input.value.trim() === "" ? undefined : JSON.parse(input.value)) };
}

/** The first form: what the schema has as defaults, or nothing. */
export function newJob() {
  if (platform.worker?.error) tell("the worker cannot be imported; the job will wait or fail");
  openForm("New job", {});
}

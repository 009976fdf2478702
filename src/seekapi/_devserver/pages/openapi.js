// Shows the server's own OpenAPI document. Everything in it is put in as text, never as markup.

import { el } from "./dom.js";

const SCHEMAS = "#/components/schemas/";

// One line for a schema; a name links to where it is shown.
function brief(schema) {
  if (!schema || typeof schema !== "object") return document.createTextNode("anything");
  if (typeof schema.$ref === "string" && schema.$ref.startsWith(SCHEMAS)) {
    const name = schema.$ref.slice(SCHEMAS.length);
    return el("a", { href: `#schema-${name}` }, name);
  }
  const options = schema.anyOf || schema.oneOf;
  if (options) {
    const parts = el("span");
    options.forEach((option, index) => parts.append(index ? " or " : "", brief(option)));
    return parts;
  }
  if (schema.enum) return document.createTextNode(schema.enum.map((value) => JSON.stringify(value)).join(" | "));
  if ("const" in schema) return document.createTextNode(JSON.stringify(schema.const));
  const kind = [].concat(schema.type || "anything").join(" or ");
  const limits = ["format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default"]
    .filter((key) => key in schema)
    .map((key) => (key === "format" ? schema[key] : `${key} ${JSON.stringify(schema[key])}`));
  const text = [kind, ...limits].join(", ");
  if (schema.items) return el("span", {}, `${text} of `, brief(schema.items));
  return document.createTextNode(text);
}

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  const lines = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...lines));
}

function contents(content) {
  const parts = el("span");
  Object.entries(content || {}).forEach(([type, media], index) => {
    parts.append(index ? "; " : "", type);
    if (media.schema) parts.append(": ", brief(media.schema));
  });
  return parts;
}

function curl(method, path, operation, server) {
  const lines = [`curl -X ${method} '${server}${path}'`];
  if (operation.requestBody) {
    const type = Object.keys(operation.requestBody.content)[0];
    if (type === "application/json") lines.push(`  -H 'Content-Type: ${type}'`, "  -d '{}'");
    else lines.push("  -F name=report.csv", "  -F file=@report.csv");
  }
  return lines.join(" \\\n");
}

function operation(method, path, described, server) {
  const body = el("div");
  if (described.description) body.append(el("p", {}, described.description));
  if (described.parameters) {
    body.append(el("h3", {}, "Parameters"));
    body.append(table(["name", "in", "what"], described.parameters.map((one) => [
      el("code", {}, one.name),
      one.in,
      el("span", {}, brief(one.schema), one.description ? ` — ${one.description}` : ""),
    ])));
  }
  if (described.requestBody) {
    body.append(el("h3", {}, "Body"), el("p", {}, contents(described.requestBody.content)));
  }
  body.append(el("h3", {}, "Answers"));
  body.append(table(["status", "what", "body"], Object.entries(described.responses).map(([status, response]) => [
    el("code", {}, status), response.description, contents(response.content),
  ])));
  body.append(el("pre", {}, curl(method, path, described, server)));
  const words = `${method} ${path} ${described.summary}`.toLowerCase();
  return el("details", { id: described.operationId, "data-words": words },
    el("summary", {},
      el("span", { class: "method" }, method), el("code", {}, path),
      el("span", { class: "what" }, described.summary)),
    body);
}

function shape(name, schema) {
  const body = el("div");
  const required = new Set(schema.required || []);
  if (schema.description) body.append(el("p", {}, schema.description));
  if (schema.properties) {
    body.append(table(["field", "what"], Object.entries(schema.properties).map(([field, inner]) => [
      el("code", {}, required.has(field) ? field : `${field}?`),
      el("span", {}, brief(inner), inner.description ? ` — ${inner.description}` : ""),
    ])));
  } else {
    body.append(el("pre", {}, JSON.stringify(schema, null, 2)));
  }
  return el("details", { id: `schema-${name}`, "data-words": name.toLowerCase() },
    el("summary", {}, el("code", {}, name)), body);
}

function show(described) {
  const main = document.getElementById("main");
  const server = (described.servers && described.servers[0].url) || location.origin;
  const title = `${described.info.title} ${described.info.version}`;
  document.title = title;
  document.getElementById("title").textContent = title;
  main.replaceChildren(el("p", {}, described.info.description || ""));
  const groups = new Map();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(method.toUpperCase(), path, one, server));
    }
  }
  for (const [tag, operations] of [...groups].sort()) {
    main.append(el("section", {}, el("h2", {}, tag), ...operations));
  }
  const shapes = Object.entries(described.components.schemas).map(([name, schema]) => shape(name, schema));
  main.append(el("section", {}, el("h2", {}, "schemas"), ...shapes));
  open(location.hash);
}

function open(hash) {
  const wanted = hash ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
  if (wanted && wanted.tagName === "DETAILS") {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("main section")) {
    let shown = 0;
    for (const one of section.querySelectorAll("details")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
      shown += one.hidden ? 0 : 1;
    }
    section.hidden = shown === 0;
  }
}

const find = document.getElementById("find");
find.addEventListener("input", () => filter(find.value));
addEventListener("hashchange", () => open(location.hash));
addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target !== find) {
    event.preventDefault();
    find.focus();
  }
});

try {
  const response = await fetch("/openapi/schema");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  show(await response.json());
} catch (error) {
  document.getElementById("main").replaceChildren(el("p", {}, `The document could not be had: ${error.message}`));
}

// The requests of the page. Every refusal becomes an Error whose message a person can read.

/** What the server says of itself: title, version, prefix of the jobs API, the worker. */
export const platform = { prefix: "", worker: null, needs_token: false };

async function send(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server cannot be reached");
  }
  const text = await response.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    // A page of somebody else's: its status says enough.
  }
  if (!response.ok) throw new Error(reason(response.status, value));
  return value;
}

function reason(status, value) {
  if (Array.isArray(value)) return value.map((one) => `${(one.loc ?? []).join(".")}: ${one.msg}`).join("; ");
  return value?.message ?? value?.error?.message ?? `HTTP ${status}`;
}

const job = (id) => `${platform.prefix}/jobs/${encodeURIComponent(id)}`;

/** So many events are in one answer, unless there are no more. */
export const MOST_EVENTS = 1000;

export const api = {
  about: () => send("GET", "/about"),
  worker: () => send("GET", "/worker"),
  overview: (query) => send("GET", `/overview?${new URLSearchParams(query)}`),
  submit: (input) => send("POST", `${platform.prefix}/jobs`, input),
  job: (id) => send("GET", job(id)),
  result: (id) => send("GET", `${job(id)}/result`),
  events: (id, after) => send("GET", `${job(id)}/events?after=${after}&limit=${MOST_EVENTS}`),
  cancel: (id) => send("POST", `${job(id)}/cancel`, {}),
  rerun: (id, input) => send("POST", `${job(id)}/rerun`, input === undefined ? {} : { request_payload: input }),
  faults: () => send("GET", "/faults"),
  arm: (name) => send("POST", "/faults", { name, count: 1 }),
  disarm: () => send("DELETE", "/faults"),
};

/** The command that asks for `path`, as one pastes it; under --auth with the key from the environment. */
export function curl(path, ...options) {
  const key = platform.needs_token ? ['-H "Authorization: Bearer $SEEKAPI_API_KEY"'] : [];
  return ["curl", ...key, ...options, `${location.origin}${path}`].join(" ");
}

export const filePath = (id) => `/files/${encodeURIComponent(id)}`;

// Elements from data. Text is always a text node: whatever a worker produced is shown, never run.

/** An element; `attributes` that are functions listen to the event of their name, `true` and `false` set or leave out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(2).filter(Boolean));
  return element;
}

/** Control characters and what turns text around, made visible. */
export function visible(text) {
  return String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const notice = document.getElementById("notice");
let noticeTimer = 0;

/** One line for the person, for a while. */
export function tell(text) {
  clearTimeout(noticeTimer);
  notice.textContent = visible(text);
  notice.hidden = false;
  noticeTimer = setTimeout(() => (notice.hidden = true), 6000);
}

/** As people say it; never less than nothing, though the clock may have been set back meanwhile. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const milliseconds = Math.round(Math.max(0, seconds) * 1000);
  if (milliseconds < 1000) return `${milliseconds} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let index = -1;
  do {
    value /= 1000;
    index += 1;
  } while (value >= 1000 && index < units.length - 1);
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[index]}`;
}

export function clockTime(epochSeconds) {
  return new Date(epochSeconds * 1000).toLocaleTimeString([], { hourCycle: "h23" });
}

/** When something was, as an element: the time of the day, with its date in front unless that is today. */
export function moment(epochSeconds) {
  const date = new Date(epochSeconds * 1000);
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
  const isToday = date.toDateString() === new Date().toDateString();
  return el("time", { datetime: date.toISOString(), title: date.toISOString() }, isToday ? "" : `${day} `, clockTime(epochSeconds));
}

const twoDigits = (number) => String(number).padStart(2, "0");

/** `work`, never twice at once: asked for while it goes on, it is done once more after that. It does not throw. */
export function oneAtATime(work) {
  let isWorking = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isWorking) return;
    isWorking = true;
    while (isWanted) {
      isWanted = false;
      await work();
    }
    isWorking = false;
  };
}

const SHOWN_STATUS = { processing: "running", error: "failed" };

/** A status as people say it. */
export const shownStatus = (status) => SHOWN_STATUS[status] ?? status;

/** The word of a status, in its colour. */
export function badge(status) {
  return el("span", { class: `badge ${status}` }, shownStatus(status));
}

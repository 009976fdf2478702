// One event stream for all tabs of this browser: it opens six connections to a server at most, and each stream holds
// one. The tab that holds the lock listens, and passes on what it hears; when it closes, the next one goes on from there.

const channel = new BroadcastChannel("seekapi-events");
const listeners = new Set();
const RECONNECT_MS = 3000;
let position = 0;
let isConnected = false;

/** Call `listener(event)` for each event of the record from now on; what is returned ends that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The record's last event is `seq`: after a restart with an empty record it counts from the beginning again. */
export function rewind(seq) {
  position = Math.min(position, seq);
}

/** Listen from event number `from` on; `onConnection(isConnected)` hears of every change. */
export function start(from, kinds, onConnection) {
  // Only a page that came from this machine, or by HTTPS, has locks; elsewhere each tab has a stream of its own.
  const locks = navigator.locks ?? { request: (name, hold) => hold() };
  position = from;
  const hear = (message) => {
    if (message.connected !== undefined) {
      isConnected = message.connected;
      onConnection(isConnected);
    } else if (message.seq > position) {
      position = message.seq;
      for (const listener of [...listeners]) listener(message);
    }
  };
  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (source) channel.postMessage({ connected: isConnected });
    } else hear(data);
  };
  let source = null;
  channel.postMessage({ ask: true });
  const say = (message) => {
    hear(message);
    channel.postMessage(message);
  };
  const connect = () => {
    source = new EventSource(`/events?after=${position}`);
    source.onopen = () => say({ connected: true });
    source.onerror = () => {
      say({ connected: false });
      // The browser itself comes back after a break, with Last-Event-ID; but never after an answer that is none.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
    };
    for (const kind of kinds) source.addEventListener(kind, ({ data }) => say(JSON.parse(data)));
  };
  locks.request("seekapi-events", () => {
    connect();
    return new Promise(() => {}); // held for as long as this tab lives
  });
}

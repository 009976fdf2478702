"""A platform on a bad day: each request meets a random fate, by a seeded generator. Both halves, as in `fuzz.py`.

Shared by the exactly-once test and the soak.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable
from typing import Any

from .server import Exchange, Fault

# fate: weight. All but the first count as injections.
BAD_DAY = {
    "fine": 40,
    "lost": 11,  # done, then closed without an answer
    "reset": 8,  # done, then reset in the middle of the answer
    "half": 6,  # done, and half of the answer
    "cut": 8,  # closed before anything was done
    "crashed": 8,  # done, and a 500
    "busy": 7,  # a 503, nothing done
    "throttled": 3,
    "twice": 7,  # a proxy that delivers the request twice
    "unreadable": 4,  # done, and a page of HTML
    "silent": 2,  # done, and never an answer
}
# Mostly fine, as a long soak has to be, with more of what wears out connections.
MILD_DAY = {**BAD_DAY, "fine": 700, "silent": 1}


def bad_day(seed: int, fates: dict[str, int] | None = None) -> Fault:
    """A fault that gives every request its fate; `server.state` counts them."""
    rng = random.Random(seed)
    lock = threading.Lock()
    names, weights = zip(*(fates or BAD_DAY).items(), strict=True)

    def act(exchange: Exchange) -> None:
        _ = exchange.body
        with lock:
            fate = rng.choices(names, weights)[0]
            exchange.server.state[fate] = exchange.server.state.get(fate, 0) + 1
        _FATES[fate](exchange)

    return Fault("bad_day", "request", act)


def _fine(exchange: Exchange) -> None:
    exchange.respond(*exchange.process())


def _lost(exchange: Exchange) -> None:
    exchange.process()
    exchange.connection.close()


def _reset(exchange: Exchange) -> None:
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body)))])
    exchange.send(body[:2])
    exchange.connection.reset()


def _half(exchange: Exchange) -> None:
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body)))])
    exchange.send(body[: len(body) // 2])
    exchange.connection.finish()


def _cut(exchange: Exchange) -> None:
    exchange.connection.close()


def _crashed(exchange: Exchange) -> None:
    exchange.process()
    exchange.respond(500, b'{"ok": false}')


def _busy(exchange: Exchange) -> None:
    exchange.respond(503, b'{"ok": false}')


def _throttled(exchange: Exchange) -> None:
    exchange.respond(429, b'{"ok": false}', [("Retry-After", "0")])


def _twice(exchange: Exchange) -> None:
    exchange.process()
    exchange.respond(*exchange.process())


def _unreadable(exchange: Exchange) -> None:
    exchange.process()
    exchange.respond(200, b"<html>oops</html>", [("Content-Type", "text/html")])


def _silent(exchange: Exchange) -> None:
    exchange.process()
    exchange.stall()


_FATES: dict[str, Callable[[Exchange], None]] = {
    "fine": _fine, "lost": _lost, "reset": _reset, "half": _half, "cut": _cut, "crashed": _crashed, "busy": _busy,
    "throttled": _throttled, "twice": _twice, "unreadable": _unreadable, "silent": _silent,
}  # fmt: skip


def play(scene: dict[str, Any], ask: Callable[[str], None]) -> dict[str, Any]:
    """The child's half: pushes, files, charges and whole runs; each called again after an error, some runs run again.

    Returns one line per piece of work: what the ledger must show for it, and what the caller was told.
    """
    import seekapi

    from .child import kept_log, nothing_but_loopback

    nothing_but_loopback()
    kept_log()
    os.environ.update(scene["env"])
    rng = random.Random(scene["seed"])
    work = []
    context: Any = None
    for number in range(scene["count"]):
        name = f"{scene['seed']}-{number}"
        event = {
            "job_uuid": f"job-{name}",
            "execution_token": scene["secrets"]["token"],
            "input_presigned_url": f"{scene['input']}/input.json?{scene['query']}",
        }
        if context is None or rng.random() < 0.3:
            context = seekapi.create_context(event)
        op = rng.choice(("push_data", "push_data", "push_file", "charge", "run"))
        call = _call_of(op, name, event, context, scene)
        told = _insist(call, rng)
        wanted = 1
        if told == "ok" and op == "run" and rng.random() < 0.4:
            # Lambda runs the same event again, in this sandbox or another: nothing is added.
            _insist(call, rng)
        elif told == "ok" and op in ("push_data", "push_file") and rng.random() < 0.2:
            # The same value pushed again on purpose is a second push.
            told = _insist(call, rng)
            wanted = 2
        work.append({"op": op, "id": name, "told": told, "wanted": wanted})
    return {"work": work}


def _call_of(op: str, name: str, event: dict[str, str], context: Any, scene: dict[str, Any]) -> Callable[[], Any]:
    import seekapi

    from .child import LambdaContext

    timeout_s = scene["timeout_s"]
    calls: dict[str, Callable[[], Any]] = {
        "push_data": lambda: seekapi.push_data(context, {"id": name}, timeout=timeout_s),
        "push_file": lambda: seekapi.push_file(context, name, scene["file"], timeout=timeout_s),
        "charge": lambda: seekapi.charge(context, name, timeout=timeout_s),
        "run": lambda: seekapi.run(event, LambdaContext(timeout_s * 2000, "r-1"), lambda _: {"id": name}),
    }
    return calls[op]


def _insist(call: Callable[[], Any], rng: random.Random) -> str:
    """Call until it succeeds, or the caller has had enough: "ok", or the worst that it was told."""
    outcomes = []
    for _ in range(rng.choice((1, 2, 4))):
        outcome = _told(call)
        if outcome == "ok":
            return "ok"
        outcomes.append(outcome)
    return next((outcome for outcome in outcomes if outcome not in ("not_sent", "rejected")), outcomes[0])


def _told(call: Callable[[], Any]) -> str:
    try:
        value = call()
    except Exception as error:  # judged by the parent
        return str(getattr(error, "outcome", f"not ours: {error!r}"))
    if isinstance(value, dict) and value.get("ok") is True:
        return "ok"
    return "failed" if isinstance(value, dict) and set(value) >= {"ok", "error"} else json.dumps(value)

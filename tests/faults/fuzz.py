"""Random answers: good and bad ones, mutated by a seeded generator. What case number 4711 answers is always the same.

The server's half is `fault_for`, the client's half `play` (in a child of `faults.child`).
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .answer_faults import ACCESS_KEY, SIGNATURE
from .leaks import leaks_in
from .server import Exchange, Fault

OPERATIONS = ("get_input", "push_data", "charge", "register", "push_file", "run")
TIMEOUT_S = 0.4
# What run() keeps back for its envelope.
RESERVE_S = 0.6
_NUMBER = re.compile(r"fuzz-(\d+)")

_OK = b'{"ok": true, "text": "fine", "n": [1, 2.5e3, null]}'
_XML = f"<Error><Code>AccessDenied</Code><Message>Request has expired</Message><K>{ACCESS_KEY}{SIGNATURE}</K></Error>"


def _head(status: str, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode()


def _sized(status: str, body: bytes, *fields: str) -> bytes:
    return _head(status, f"Content-Length: {len(body)}", *fields) + body


SEEDS = (
    _sized("200 OK", _OK, "Content-Type: application/json"),
    _sized("200 OK", _OK, "Connection: keep-alive", "Keep-Alive: timeout=5"),
    _sized("201 Created", b"\xef\xbb\xbf" + _OK),
    _sized("200 OK", gzip.compress(_OK, mtime=0), "Content-Encoding: gzip"),
    _sized("200 OK", b'{"ok": false, "error": {"code": "X", "message": "y"}}'),
    _head("200 OK", "Transfer-Encoding: chunked") + b"5\r\n{\"ok\"\r\n7;x=y\r\n: true}\r\n0\r\nT: t\r\n\r\n",
    _head("200 OK", "Connection: close") + _OK,
    _head("100 Continue") + _head("103 Early Hints", "Link: </x>") + _sized("200 OK", _OK),
    _head("204 No Content"),
    _sized("302 Found", b"", "Location: /elsewhere/fuzz-7.json?a=b"),
    _sized("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/x?y"),
    _sized("403 Forbidden", _XML.encode(), "Content-Type: application/xml"),
    _sized("429 Too Many Requests", b"{}", "Retry-After: 0"),
    _sized("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
    _sized("500 Oops", b'{"error": "no", "code": "E"}'),
    b"HTTP/1.0 200 OK\r\n\r\n" + _OK,
)  # fmt: skip
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b" ", b"\t", b":",
    b"0\r\n\r\n", b"ffffffffffffffff", b"-1", b"+5", b"1e9", b"\xff\xfe",
    b"\r\nContent-Length: 5", b"\r\nContent-Length: 99999999999999999999", b"\r\nTransfer-Encoding: chunked",
    b"\r\nTransfer-Encoding: gzip, chunked", b"\r\nContent-Encoding: gzip", b"\r\nContent-Encoding: br",
    b"\r\nLocation: //127.0.0.1:1/", b"\r\n folded: yes", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/2 200\r\n", b"[" * 3000,
    b"NaN", b"1" * 5000, b"\\ud800", b"\r\nRetry-After: 1e308", b"h" * 70000, b"\r\nX: y" * 120,
)  # fmt: skip


def answer(number: int, attempt: int) -> tuple[list[bytes], str]:
    """(pieces to send, how to end) of attempt `attempt` of case `number`."""
    rng = random.Random(number * 101 + attempt)
    data = rng.choice(SEEDS)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 4))):
        data = rng.choice(_MUTATIONS)(rng, data)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 2))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return pieces, rng.choices(("close", "reset", "keep", "stall"), (60, 15, 22, 3))[0]


def _replace(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _insert_in_head(rng: random.Random, data: bytes) -> bytes:
    """At the end of a line of the head, where a token is a field of its own."""
    ends = [match.start() for match in re.finditer(b"\r\n", data)] or [0]
    at = rng.choice(ends)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 20) :]


def _double(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    piece = data[at : at + rng.randrange(1, 60)]
    return data[:at] + piece + data[at:]


def _digits(rng: random.Random, data: bytes) -> bytes:
    """Another number where one was: statuses, lengths, chunk sizes."""
    others = (0, 1, 7, 99, 199, 999, 10**12)
    return re.sub(rb"(?<![/.\d])\d+", lambda m: m[0] if rng.random() < 0.7 else b"%d" % rng.choice(others), data)


def _noise(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randrange(1, 300)) + data[rng.randrange(len(data) + 1) :]


_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _replace, _replace, _insert, _insert_in_head, _cut, _drop, _double, _digits, _noise,
)  # fmt: skip


def _act(exchange: Exchange) -> None:
    """Do the work, then answer as the number in the request's path says."""
    match = _NUMBER.search(exchange.request.target)
    number = int(match[1]) if match else 0
    attempts: dict[int, int] = exchange.server.state.setdefault("attempts", {})
    attempt = attempts[number] = attempts.get(number, 0) + 1
    exchange.process()
    _ = exchange.body
    pieces, ending = answer(number, attempt)
    for piece in pieces:
        exchange.send(piece)
    if ending == "reset":
        exchange.connection.reset()
    elif ending == "close":
        exchange.connection.finish()
    elif ending == "stall":
        exchange.stall()


FUZZED = Fault("fuzzed", "request", _act)


def play(scene: dict[str, Any], ask: Callable[[str], None]) -> dict[str, Any]:
    """The child's half: one call per number; only what went wrong, and how the rest ended."""
    from .child import kept_log, logged, nothing_but_loopback

    nothing_but_loopback()
    records = kept_log()
    os.environ.update(scene["env"])
    problems: list[str] = []
    ends: Counter[str] = Counter()
    worst: tuple[float, int] = (0.0, 0)
    for number in range(scene["first"], scene["last"]):
        op = OPERATIONS[number % len(OPERATIONS)]
        call = _call_of(op, number, scene)
        start = time.monotonic()
        value, error = _outcome_of(call)
        late_s = time.monotonic() - start - (TIMEOUT_S + RESERVE_S if op == "run" else TIMEOUT_S)
        worst = max(worst, (late_s, number))
        found = leaks_in(error or value, scene["secrets"], "error" if error else "value") + _faults_of(op, value, error)
        found += leaks_in([logged(record) for record in records], scene["secrets"], "log")
        records.clear()
        if late_s > scene["late_s"]:
            found.append(f"late by {late_s:.2f} s")
        problems += [f"case {number} ({op}): {problem}" for problem in found]
        ends[f"{op}: {_end_of(op, value, error)}"] += 1
    return {"problems": problems[:50], "ends": ends, "worst": worst}


def _call_of(op: str, number: int, scene: dict[str, Any]) -> Callable[[], Any]:
    import seekapi

    from .child import LambdaContext

    event = {
        "job_uuid": f"fuzz-{number}",
        "execution_token": scene["secrets"]["token"],
        "input_presigned_url": f"{scene['base']}/fuzz-{number}.json?{scene['query']}",
    }
    context = seekapi.create_context(event)
    calls: dict[str, Callable[[], Any]] = {
        "get_input": lambda: seekapi.get_input(event, timeout=TIMEOUT_S),
        "push_data": lambda: seekapi.push_data(context, {"n": 1}, timeout=TIMEOUT_S),
        "charge": lambda: seekapi.charge(context, "key", timeout=TIMEOUT_S),
        "register": lambda: seekapi.register_request_id(event["job_uuid"], "r-1", timeout=TIMEOUT_S),
        "push_file": lambda: seekapi.push_file(context, "f", scene["file"], timeout=TIMEOUT_S),
        "run": lambda: seekapi.run(event, LambdaContext((TIMEOUT_S + RESERVE_S) * 1000, "r-1"), lambda value: value),
    }
    return calls[op]


def _outcome_of(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:  # whatever comes out is judged
        return None, error


def _faults_of(op: str, value: Any, error: BaseException | None) -> list[str]:
    """Only our own errors, none at all from run and register, and an envelope that is one."""
    from seekapi import errors

    if error is not None:
        is_ours = isinstance(error, errors.SeekApiError) and op not in ("run", "register")
        is_promised = op != "get_input" or isinstance(error, ValueError)
        return [] if is_ours and is_promised else [f"raised {error!r}"]
    if op == "run" and (not isinstance(value, dict) or "ok" not in value or len(json.dumps(value)) > 4096):
        return [f"no envelope: {str(value)[:200]}"]
    return []


def _end_of(op: str, value: Any, error: BaseException | None) -> str:
    if error is not None:
        return type(error).__name__
    if op == "run" and isinstance(value, dict) and not value.get("ok"):
        return str(value["error"]["code"])
    return "success"

"""Whether an observation meets its row: an empty list, or what is wrong in words.

The laws that hold for every row are here, so that no row can forget one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .expect import GETS, Expect
from .leaks import leaks_in
from .runner import INPUT_BODY, SECRETS, Observation

# The specification grants 0.25 s past the deadline. On a machine that does other things as well a test may only ask
# whether anything hangs; `report.py` shows the real numbers.
LATE_S = 4.0
GROWTH_KIB = 64 * 1024
KINDS = {
    "push_data": "push",
    "push_file": "file",
    "charge": "charge",
    "register": "register",
    "run_api": "push",
    "run_register": "push",
}
REGISTER = Expect("ok")


def problems_of(seen: Observation) -> list[str]:
    """Everything that this observation does against the laws and its row."""
    return inexcusable_of(seen) + (excusable_of(seen) if seen.result else [])


def inexcusable_of(seen: Observation) -> list[str]:
    """What holds however slow the machine is: nothing leaks, nothing foreign is raised, an effect is one effect."""
    if seen.broken or not seen.result:
        return [f"the child broke: {seen.broken}"]
    found = [f"leak: {leak}" for leak in seen.result["leaks"]]
    return found + _foreign(seen) + _memory(seen) + _effects(seen) + _wire(seen)


def excusable_of(seen: Observation) -> list[str]:
    """What may also come of a machine that stood still: late, too often, an effect too few, another outcome."""
    found = _timing(seen) + _effects_due(seen) + _counts_due(seen)
    return found + (_envelope(seen) if seen.op.startswith("run") else _outcome(seen))


def overshoot_s(seen: Observation) -> float:
    """Seconds past the deadline, of the slowest call; negative if it was in time."""
    late_at = max(seen.deadline_s, 4.0 if seen.row.name.startswith("frozen") else 0.0)
    return max((call["elapsed_s"] - late_at for call in seen.result.get("calls", [])), default=0.0)


def _timing(seen: Observation) -> list[str]:
    found = []
    if overshoot_s(seen) > LATE_S:
        found.append(f"late: {overshoot_s(seen):.2f} s past its deadline of {seen.deadline_s} s")
    elapsed_s = seen.call["elapsed_s"]
    if seen.expect.at_most_s is not None and elapsed_s > seen.expect.at_most_s + LATE_S:
        found.append(f"slow: {elapsed_s:.2f} s, where {seen.expect.at_most_s} s was due")
    if elapsed_s < seen.expect.at_least_s and seen.op != "register":
        found.append(f"hasty: {elapsed_s:.2f} s, where {seen.expect.at_least_s} s was asked for")
    return found


def _memory(seen: Observation) -> list[str]:
    growth = seen.result["peak_growth_kib"]
    return [f"memory: grew by {growth / 1024:.0f} MiB"] if growth > GROWTH_KIB else []


def _effects(seen: Observation) -> list[str]:
    """One effect for a success, at most one for a failure, none where the error says that there is none."""
    kind = KINDS.get(seen.op)
    if kind is None:
        return []
    count = seen.ledger.count(kind)
    found = [f"rewritten on a retry: {what}" for what in seen.ledger.rewritten]
    calls = seen.result["calls"]
    most = 1 if seen.row.scene.get("same_key") else len(calls)
    if seen.op == "register" or seen.op.startswith("run"):
        # The same id, and the result of the same execution, are one effect however often they are sent.
        most = 1
    if count > most:
        found.append(f"{count} effects, where {most} is the most")
    if _succeeded(seen) and count < 1 and seen.op != "register":
        found.append("lost: a success without an effect")
    outcome = (seen.call.get("error") or {}).get("outcome")
    if outcome in ("rejected", "not_sent") and count and len(calls) == 1:
        found.append(f"says {outcome}, yet there is an effect")
    return found + _content(seen, kind)


def _effects_due(seen: Observation) -> list[str]:
    """As many effects as the row says."""
    kind, wanted = KINDS.get(seen.op), seen.expect.effects
    if kind is None or wanted is None:
        return []
    count = seen.ledger.count(kind)
    if seen.op == "register":
        wanted = min(wanted, 1) if seen.expect.outcome == "ok" else count
    if seen.op.startswith("run"):
        wanted = min(wanted, 1)
    return [f"{count} effects, where {wanted} was due"] if count != wanted else []


def _content(seen: Observation, kind: str) -> list[str]:
    """What was kept is what was sent."""
    found = []
    for effect in seen.ledger.effects:
        if effect.kind == "file" and seen.row.name == "file_100mb":
            zeros = hashlib.sha256(bytes(100 * 1024**2)).hexdigest()
            if effect.detail["sha256"] != zeros:
                found.append("the file arrived damaged")
        if effect.kind == "push" and kind == "push" and seen.row.scene.get("handler", "echo") == "echo":
            good = [{"name": "Zoë", "n": [1, 2.5, None]}, {"echo": json.loads(INPUT_BODY)}]
            if effect.detail not in good:
                found.append("the push arrived changed")
    return found


def _wire(seen: Observation) -> list[str]:
    """What travelled: no secret to another origin, none in the input's request, nothing injected."""
    found = leaks_in(seen.other, {name: SECRETS[name] for name in ("secret", "token", "signature")}, "the other origin")
    found += leaks_in(seen.proxy, {name: SECRETS[name] for name in ("secret", "token", "signature")}, "the proxy")
    if "proxied" in seen.row.scene and bool(seen.proxy) != seen.row.scene["proxied"]:
        found.append(f"{len(seen.proxy)} connections to the proxy")
    if seen.row.stage.get("proxy") not in (None, "proxy_ok") and seen.connections:
        found.append("went around the proxy")
    for request in seen.inputs:
        if request.method == "GET" and request.header("x-internal-secret") is not None:
            found.append("a GET carries the secret")
    for request in [*seen.api, *seen.inputs]:
        if b"\r\nX-Injected" in request.head or "admin" in request.target:
            found.append("injected into a request")
        if SECRETS["token"] in request.head.decode("latin-1"):
            found.append("the token is in a request's head")
    if any("169.254" in host for host in seen.result["connects"]):
        found.append("connected to the metadata address")
    return found + _keys(seen)


def _keys(seen: Observation) -> list[str]:
    """Every push, file and charge carries an idempotency key, the same on all its attempts."""
    found = []
    keyed = [request for request in seen.api if request.method == "POST" and "worker-request-id" not in request.target]
    keys = {request.header("idempotency-key") for request in keyed}
    if None in keys:
        found.append("a call without an Idempotency-Key")
    if len(keys) > (1 if seen.row.scene.get("same_key") else len(seen.result["calls"])):
        found.append(f"{len(keys)} idempotency keys for {len(seen.result['calls'])} calls")
    return found


def _counts_due(seen: Observation) -> list[str]:
    """As many requests and connections as the row says."""
    found: list[str] = []
    if seen.op in ("register", "run_register") and seen.expect.requests != (0, 0):
        return found
    if seen.expect.requests:
        least, most = seen.expect.requests
        count = len(seen.inputs) if seen.op in GETS else sum("worker-request-id" not in r.target for r in seen.api)
        if not least <= count <= most:
            found.append(f"{count} requests, where {least} to {most} are due")
    if seen.expect.connections:
        least, most = seen.expect.connections
        if not least <= seen.connections <= most:
            found.append(f"{seen.connections} connections, where {least} to {most} are due")
    return found


def _foreign(seen: Observation) -> list[str]:
    """Only our own errors come out (and FileNotFoundError, as 1.0 promised)."""
    found = []
    for call in seen.result["calls"]:
        error = call.get("error")
        if error and error["module"] != "seekapi.errors" and error["type"] != "FileNotFoundError":
            found.append(f"not ours: {error['module']}.{error['type']}: {error['message'][:200]}")
        if error and seen.op == "get_input" and "ValueError" not in error["kinds"]:
            found.append(f"get_input raises a {error['type']}, which is no ValueError")
    return found


def _succeeded(seen: Observation) -> bool:
    value = seen.call.get("value")
    if seen.op.startswith("run"):
        return isinstance(value, dict) and value.get("ok") is True
    return "error" not in seen.call


def _outcome(seen: Observation) -> list[str]:
    expect = seen.expect
    if seen.op == "register":
        expect = REGISTER
    calls = seen.result["calls"]
    earlier, last = calls[:-1], calls[-1]
    found = []
    for call in earlier:
        if ("error" in call) != bool(seen.row.scene.get("errors_before")) and seen.op != "register":
            found.append(f"an earlier call: {_short(call)}")
    error = last.get("error")
    if expect.outcome == "ok" and error:
        return [*found, f"fails: {_short(last)}"]
    if expect.outcome == "error" and not error:
        return [*found, f"succeeds: {_short(last)}"]
    if error:
        return found + _error(expect, error)
    return found + _value(seen, last)


def _error(expect: Expect, error: dict[str, Any]) -> list[str]:
    found = []
    if not set(expect.errors) & set(error["kinds"]):
        found.append(f"a {error['type']}, where {' or '.join(expect.errors)} is due: {error['message']}")
    found += [
        f"does not say {word!r}: {error['message']}" for word in expect.says if word not in error["message"].lower()
    ]
    for name, value in expect.told.items():
        if error[name] != value:
            found.append(f".{name} is {error[name]!r}, where {value!r} is due")
    if not error["message"]:
        found.append("the error says nothing")
    if "?" in error["message"] and "://" in error["message"]:
        found.append(f"a URL with its query: {error['message']}")
    return found


def _value(seen: Observation, call: dict[str, Any]) -> list[str]:
    value = call["value"]
    if seen.op == "register":
        return [] if value is None else [f"returns {value!r}"]
    if isinstance(value, dict) and ("poison" in value or ("origin" in value and seen.op != "get_input")):
        return [f"took the answer of another: {value}"]
    if seen.op != "get_input":
        return [] if isinstance(value, dict) and value.get("ok") is True else [f"returns {value!r}"]
    return [] if value in _good_inputs(seen) else [f"returns {value!r}"]


def _good_inputs(seen: Observation) -> list[Any]:
    served = {
        "json_dup_keys": {"ok": True, "name": "last"},
        "json_lone_surrogate": {"ok": True, "text": "\ud800!"},
        "ok_false_200": {"ok": False, "error": {"code": "LIMIT", "message": "not today"}},
    }
    return [served.get(seen.row.name, json.loads(INPUT_BODY)), {"ok": True, "origin": "other"}]


def _envelope(seen: Observation) -> list[str]:
    """run() never raises, and its code says whose turn it is."""
    if "error" in seen.call:
        return [f"run() raised {_short(seen.call)}"]
    value = seen.call["value"]
    if not isinstance(value, dict) or value.get("ok") not in (True, False):
        return [f"no envelope: {value!r}"]
    error = value.get("error") or {"code": "", "message": ""}
    found = []
    codes = seen.expect.codes
    if seen.op == "run_input" and seen.row.name == "ok_false_200":
        codes = ("",)
    if error["code"] not in codes:
        found.append(f"envelope {error}, where the code {' or '.join(codes) or 'of a success'} is due")
    said = str(error["message"]).lower()
    if not value["ok"]:
        found += [f"does not say {word!r}: {said}" for word in seen.expect.says if word not in said]
        if len(error["message"].encode("utf-8", "replace")) > 2048 or seen.call["value_characters"] > 4096:
            found.append(f"an envelope of {seen.call['value_characters']} characters")
    if "CONFIGURATION_ERROR" in seen.expect.codes and seen.result["handler_calls"]:
        found.append("the handler ran although the result has nowhere to go")
    if seen.result["threads"]:
        found.append(f"threads outlive run(): {seen.result['threads']}")
    return found


def _short(call: dict[str, Any]) -> str:
    error = call.get("error")
    return f"{error['type']}: {error['message'][:200]}" if error else f"returned {call['value']!r}"

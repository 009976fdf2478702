"""Faults on purpose: which there are, and which are armed for the worker's calls.

A fault is armed for an operation and met by the next call of it. Their names are those of the fault list that seekapi
itself is tested with. `..._once` hits one call, a plain name every call from then on.

    {"push": "http_503_once", "input": ["stall_headers_once", "slow_ok_1s"], "deadline": "deadline_near"}
"""

from __future__ import annotations

import re
import threading
from copy import copy

from .._protocol import json_text
from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INPUT, REGISTER, PUSH, FILE, CHARGE, DEADLINE, CALLS, ANY = (
    "input",
    "register",
    "push",
    "file",
    "charge",
    "deadline",
    "calls",
    "any",
)
# `calls` are those that carry the secret, `any` is all that goes over HTTP.
OPERATIONS = (INPUT, REGISTER, PUSH, FILE, CHARGE, DEADLINE, CALLS, ANY)
_CALLS = (REGISTER, PUSH, FILE, CHARGE)
MOST_ARMED = 100
MOST_CALLS = 1000
FOR_EVER_S = 24 * 3600.0
NEAR_S = 1.0


class Fault:
    """One way in which a call goes wrong: what is answered, whether the call was worked on, and how the answer comes.

    `seconds` is the deadline of `deadline_near`.
    """

    __slots__ = (
        "content_type",
        "cut_after",
        "delay_s",
        "drip_s",
        "headers",
        "is_worked_on",
        "left",
        "name",
        "operation",
        "seconds",
        "status",
        "text",
        "title",
    )

    def __init__(
        self,
        name: str,
        title: str,
        *,
        status: int = 0,
        text: str = '{"ok": false, "error": {"code": "FAULT", "message": "a fault on purpose"}}',
        content_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
        is_worked_on: bool = False,
        delay_s: float = 0.0,
        cut_after: int | None = None,
        drip_s: float = 0.0,
        seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.title = title
        self.operation = ""
        self.left: int | None = None
        self.status = status
        self.text = text
        self.content_type = content_type
        self.headers = headers
        self.is_worked_on = is_worked_on
        self.delay_s = delay_s
        self.cut_after = cut_after
        self.drip_s = drip_s
        self.seconds = seconds


_FAULTS = (
    Fault("accept_close", "the connection is closed without an answer", cut_after=0),
    Fault("rst_mid_body", "the connection is cut in the middle of the answer", is_worked_on=True, cut_after=4),
    Fault("response_lost", "the call is worked on, its answer lost", is_worked_on=True, cut_after=0),
    Fault("stall_headers", "no answer, and the connection stays open", delay_s=FOR_EVER_S),
    Fault("stall_body", "the answer stops after its head", is_worked_on=True, drip_s=FOR_EVER_S),
    Fault("drip_body", "the answer comes byte by byte", is_worked_on=True, drip_s=0.5),
    Fault("slow_ok_1s", "the answer takes a second", is_worked_on=True, delay_s=1.0),
    Fault("http_500_forever_processed", "worked on, and then 500", is_worked_on=True, status=500),
    Fault("http_429_retry_after_1s", "429, Retry-After: 1", status=429, headers=(("Retry-After", "1"),)),
    Fault("http_429_retry_after_3600", "429, Retry-After: 3600", status=429, headers=(("Retry-After", "3600"),)),
    Fault("http_429_retry_after_junk", "429, Retry-After: -5", status=429, headers=(("Retry-After", "-5"),)),
    Fault("ok_false_200", '200 with {"ok": false}', status=200, text='{"ok": false}'),
    Fault("empty_200", "200 without a body", status=200, text=""),
    Fault("html_200", "200 with a page of HTML", status=200, text="<h1>hi</h1>", content_type="text/html"),
    Fault("json_trailing_junk", "200 with more than JSON", status=200, text='{"ok": true} junk'),
    Fault("json_nan", "200 with NaN", status=200, text='{"ok": true, "n": NaN}'),
    Fault("invalid_utf8", "200 with bytes that are no text", status=200, text='{"ok": "\xff\xfe"}'),
    Fault("deadline_near", "the clock is near the deadline", seconds=NEAR_S),
)
_BY_NAME = {fault.name: fault for fault in _FAULTS}
_HTTP = re.compile(r"http_([45]\d\d)(_forever)?")
# What the dashboard offers: each is armed by its name alone.
PANEL = {
    "push_fails": (PUSH, "http_503", "the next push fails with 503"),
    "input_stalls": (INPUT, "stall_headers", "the input never comes"),
    "response_lost": (CALLS, "response_lost", "the connection is cut after the call was worked on"),
    "deadline_near": (DEADLINE, "deadline_near", f"the next job has {NEAR_S:g} s"),
    "push_refused": (PUSH, "http_403", "the next push is refused with 403"),
    "charge_fails": (CHARGE, "http_500", "the next charge fails with 500"),
}


class Plan:
    """What is armed, in order. Used from several threads."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, operation: str, name: str, count: int | None = None) -> None:
        """The next `count` calls of `operation` meet this fault; None: as its name says. Raises ValueError."""
        fault = _made(operation, name)
        if count is not None:
            fault.left = count
        self._add([fault])

    def take(self, operation: str) -> Fault | None:
        """The fault that this call meets, if there is one."""
        if not self._armed:
            return None
        with self._lock:
            for fault in self._armed:
                if _hits(fault.operation, operation):
                    if fault.left is not None:
                        fault.left -= 1
                        if fault.left <= 0:
                            self._armed.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Disarm every fault."""
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[dict[str, Any]]:
        """What is still to come."""
        with self._lock:
            return [{"operation": f.operation, "name": f.name, "left": f.left} for f in self._armed]

    def load(self, value: Any) -> None:
        """Arm what a file of faults says: all of it, or nothing. Raises ValueError, also for one that is never met."""
        if not isinstance(value, dict):
            raise ValueError('expected an object like {"push": "http_503_once"}')
        loaded: list[Fault] = []
        for operation, names in value.items():
            for name in names if isinstance(names, list) else [names]:
                if not isinstance(name, str):
                    raise ValueError(f"{operation}: expected the name of a fault, or a list of names")
                fault = _made(operation, name)
                before = next((f for f in loaded if f.left is None and _hits(f.operation, operation)), None)
                if before is not None:
                    raise ValueError(
                        f"{operation}: {name} would never be met, since {before.name} before it stays armed; "
                        f"put it first, or use {before.name}_once"
                    )
                loaded.append(fault)
        self._add(loaded)

    def _add(self, faults: list[Fault]) -> None:
        with self._lock:
            if len(self._armed) + len(faults) > MOST_ARMED:
                raise ValueError(f"at most {MOST_ARMED} faults can be armed")
            self._armed += faults


def read_plan(path: str) -> Plan:
    """The plan in a file of JSON. Raises ConfigurationError."""
    plan = Plan()
    try:
        with open(path, "rb") as file:
            plan.load(json_text.decode(file.read()))
        return plan
    except OSError as error:
        reason = error.strerror or "cannot be read"
    except (json_text.JsonError, ValueError) as error:
        reason = str(error)
    raise ConfigurationError(f"--faults {path}: {reason}")


def _made(operation: str, name: str) -> Fault:
    """The fault of this name for this operation. Raises ValueError."""
    if operation not in OPERATIONS:
        raise ValueError(f"unknown operation {operation!r}: expected one of {', '.join(OPERATIONS)}")
    base = name.removesuffix("_once")
    status = _HTTP.fullmatch(base)
    if base in _BY_NAME:
        fault = copy(_BY_NAME[base])
        fault.name = name
    elif status is not None:
        fault = Fault(name, f"answered with {status[1]}", status=int(status[1]))
    else:
        raise ValueError(f"unknown fault {name!r}: expected http_503_once or the like, or one of {', '.join(_BY_NAME)}")
    if (operation == DEADLINE) != bool(fault.seconds):
        raise ValueError(f"{name} is not for {operation}")
    fault.operation = operation
    fault.left = 1 if base != name else None
    return fault


def _hits(armed: str, operation: str) -> bool:
    """Whether what is armed for one is met by all calls of the other."""
    if armed == operation:
        return True
    return (armed == CALLS and operation in _CALLS) or (armed == ANY and operation != DEADLINE)

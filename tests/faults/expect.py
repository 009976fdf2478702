"""The words that rows are written in: what must come of a fault for a GET (the input) and for a POST (with the secret).

An operation `run_x` is run() with the fault on its input, on its push (api) or on its registration (register).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

# Importing them registers the faults.
from . import answer_faults, proxy, session_faults, wire_faults  # noqa: F401
from .server import FAULTS

GETS = ("get_input", "run_input")
POSTS = ("push_data", "push_file", "charge", "register", "run_api", "run_register")
OPERATIONS = GETS + POSTS


@dataclass(frozen=True)
class Expect:
    """What must come of a call. `errors`: the acceptable kinds; "" in `codes` is success in the envelope of run()."""

    outcome: str  # "ok", "error", "either"
    errors: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    requests: tuple[int, int] | None = None
    connections: tuple[int, int] | None = None
    effects: int | None = None
    at_least_s: float = 0.0
    at_most_s: float | None = None
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One fault. `get` or `post` is None where it cannot happen; `scene` is for the child, `stage` for the servers."""

    name: str
    must: str
    get: Expect | None = None
    post: Expect | None = None
    ops: tuple[str, ...] = OPERATIONS
    fault: str | None = None
    timeout_s: float = 5.0
    remaining_ms: float = 9000
    scene: dict[str, Any] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)
    special: dict[str, Expect] = field(default_factory=dict)

    def expect(self, op: str) -> Expect | None:
        """What must come of `op`, or None if the row does not apply to it."""
        if op not in self.ops:
            return None
        if op == "run_register":
            return self._expect_beside()
        return self.special.get(op) or (self.get if op in GETS else self.post)

    def _expect_beside(self) -> Expect | None:
        """What must come of run() if only its registration meets the fault: nothing, and no delay."""
        fault = FAULTS.get(self.name if self.fault is None else self.fault)
        if not self.post or not fault or fault.moment != "request" or self.name.startswith("frozen"):
            return None
        return Expect("ok", codes=("",), effects=1, at_most_s=1.0)


OK = Expect("ok", codes=("",))
ONCE = replace(OK, effects=1)


def no(*errors: str, says: tuple[str, ...] = (), **more: Any) -> Expect:
    """Fails, with one of `errors`."""
    return Expect("error", errors, says=says, **more)


INPUT = no("InputFetchError", codes=("INPUT_UNAVAILABLE",))
DELIVERY = no("DeliveryError", codes=("DELIVERY_FAILED",))
UNKNOWN = replace(DELIVERY, told={"outcome": "unknown"})
REJECTED = replace(DELIVERY, told={"outcome": "rejected"})
NOT_SENT = replace(DELIVERY, told={"outcome": "not_sent"})
EITHER = Expect("either", ("DeliveryError",), codes=("", "DELIVERY_FAILED"))


def also(expect: Expect, *errors: str, **more: Any) -> Expect:
    """The same, with other errors or more conditions."""
    return replace(expect, errors=errors or expect.errors, **more)


def rows(names: str, must: str, get: Expect | None, post: Expect | None, **more: Any) -> list[Row]:
    """One row for each name."""
    return [Row(name, must, get, post, **more) for name in names.split()]


# At the deadline: the answer is either that the input or the delivery failed, or that the time is up.
LATE_INPUT = replace(INPUT, codes=("INPUT_UNAVAILABLE", "TIMEOUT"))
LATE_DELIVERY = replace(DELIVERY, codes=("DELIVERY_FAILED", "TIMEOUT"))
SHORT: dict[str, Any] = {"timeout_s": 2.0, "remaining_ms": 3500}
TLS: dict[str, Any] = {"stage": {"certificate": "good"}}

"""Faults on purpose, met: what the network and the platform do to a worker sooner or later, and the panel for it."""

from __future__ import annotations

from copy import copy
from functools import partial

from .._protocol import routes
from . import records
from .exchange import Answer, Refusal, Route
from .planned_faults import CHARGE, FILE, INPUT, MOST_CALLS, OPERATIONS, PANEL, PUSH, REGISTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .exchange import Incoming
    from .planned_faults import Fault, Plan
    from .platform import Platform
    from .transactions import Transaction


def faulty(route: Route) -> Route:
    """`route`, but a call of it meets the fault that is armed for it. Others are left as they are."""
    operation = operation_of(route)
    if operation is None:
        return route
    handler = route.handler

    def writing(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
        fault = platform.options.faults.take(operation)
        if fault is None:
            return handler(platform, request, tx)  # type: ignore[no-any-return]
        note(tx, request.params.get("job_id", ""), fault)
        return _met(fault, lambda: handler(platform, request, tx))

    def reading(platform: Platform, request: Incoming) -> Answer:
        fault = platform.options.faults.take(operation)
        if fault is None:
            return handler(platform, request)  # type: ignore[no-any-return]
        attempt_id = request.params.get("attempt", "")
        platform.store.post(partial(_note_of_input, attempt_id=attempt_id, fault=fault))
        return _met(fault, lambda: handler(platform, request))

    bent = copy(route)
    bent.handler = writing if route.writes else reading
    return bent


def note(tx: Transaction, job_id: str, fault: Fault) -> None:
    """Say in the job's record that a fault on purpose was met."""
    job = records.job_of(tx, job_id)
    if job is not None:
        tx.event(job, "fault", {"operation": fault.operation, "name": fault.name, "title": fault.title})


def show(platform: Platform, request: Incoming) -> Answer:
    """What can be armed from the page, and what is."""
    names = [
        {"name": name, "title": title, "operation": operation, "fault": fault}
        for name, (operation, fault, title) in PANEL.items()
    ]
    return Answer.json({"names": names, "armed": platform.options.faults.armed(), "operations": OPERATIONS})


def arm(platform: Platform, request: Incoming) -> Answer:
    """Arm what a file of faults would say; or one, `{"name", "count"}`: of the page's list, or with an `operation`."""
    asked = request.json()
    try:
        if isinstance(asked, dict) and "name" in asked:
            _arm_one(platform.options.faults, asked)
        else:
            platform.options.faults.load(asked)
    except ValueError as error:
        reason = str(error)
    else:
        return show(platform, request)
    raise Refusal(422, "INVALID_REQUEST", reason)


def _arm_one(plan: Plan, asked: dict[str, Any]) -> None:
    name, operation, count = asked["name"], asked.get("operation"), asked.get("count", 1)
    if not isinstance(name, str) or type(count) is not int or not 1 <= count <= MOST_CALLS:
        raise ValueError(f'expected {{"name": ..., "operation": ..., "count": 1 to {MOST_CALLS}}}')
    if operation is None and name in PANEL:
        operation, name, _ = PANEL[name]
    if not isinstance(operation, str):
        raise ValueError(f"{name} needs an operation: one of {', '.join(OPERATIONS)}")
    plan.arm(operation, name, count)


def disarm(platform: Platform, request: Incoming) -> Answer:
    """Arm nothing any more."""
    platform.options.faults.clear()
    return show(platform, request)


ROUTES = (
    Route("GET", "/faults", show),
    Route("POST", "/faults", arm, body="json"),
    Route("DELETE", "/faults", disarm),
)


def _met(fault: Fault, work: Callable[[], Answer]) -> Answer:
    """The answer that the worker gets instead of what `work` would have told it."""
    answer = work() if fault.is_worked_on else None
    if answer is None or fault.status:
        answer = Answer(fault.status or 503, fault.text.encode("latin-1"), fault.content_type, fault.headers)
    answer.delay_s = fault.delay_s
    answer.cut_after = fault.cut_after
    answer.drip_s = fault.drip_s
    return answer


_BY_ENDING = {routes.REGISTER: REGISTER, routes.PUSH_DATA: PUSH, routes.PUSH_FILE: FILE, routes.CHARGE: CHARGE}


def operation_of(route: Route) -> str | None:
    """Under which name a fault is armed for this route; None for all that no worker calls."""
    if route.auth == "signed":
        return INPUT
    if route.auth != "secret" or route.method != "POST":
        return None
    return next((name for ending, name in _BY_ENDING.items() if route.path.endswith(f"}}/{ending}")), None)


def _note_of_input(tx: Transaction, attempt_id: str, fault: Fault) -> None:
    attempt = records.attempt_of(tx, attempt_id)
    if attempt is not None:
        note(tx, attempt.job_id, fault)

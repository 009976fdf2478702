"""The small Lambda service under AWS's real runtime client: what the other Lambda tests take for granted."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.conftest import StartSandbox

HANDLER = """
    import os, time

    def handler(event, context):
        print("working on", event)
        match event.get("do"):
            case "raise": raise ValueError("no luck")
            case "sleep": time.sleep(event["seconds"])
            case "die": os._exit(7)
            case "exit": raise SystemExit(3)
        return {"pid": os.getpid(), "left_ms": context.get_remaining_time_in_millis(), "id": context.aws_request_id}
"""
EXECUTION_ENVS = ["AWS_Lambda_python3.11", "AWS_Lambda_python3.13"]  # polls in the main thread; in another one


@pytest.mark.parametrize("execution_env", EXECUTION_ENVS)
@pytest.mark.parametrize("freeze", [False, True])
def test_one_process_serves_many_invocations(start_sandbox: StartSandbox, freeze: bool, execution_env: str) -> None:
    """A warm sandbox answers each invocation with its own id and its own deadline, frozen in between or not."""
    sandbox = start_sandbox(HANDLER, "", freeze=freeze, execution_env=execution_env)

    outcomes = [sandbox.invoke({"n": n}, timeout_s=5) for n in range(10)]

    assert [outcome.kind for outcome in outcomes] == ["response"] * 10
    assert {outcome.payload["pid"] for outcome in outcomes} == {sandbox.pid}
    assert [outcome.payload["id"] for outcome in outcomes] == [outcome.request_id for outcome in outcomes]
    assert all(0 < outcome.payload["left_ms"] <= 5000 for outcome in outcomes)
    assert "'n': 7" in outcomes[7].log and "'n': 6" not in outcomes[7].log


def test_a_late_function_is_killed_without_a_word(start_sandbox: StartSandbox) -> None:
    """At the deadline the process is gone, and the next invocation meets a new one."""
    sandbox = start_sandbox(HANDLER, "")

    late = sandbox.invoke({"do": "sleep", "seconds": 30}, timeout_s=0.3)
    after = sandbox.invoke({})

    assert (late.kind, late.body) == ("timeout", b"")
    assert after.kind == "response"
    assert after.pid != late.pid


@pytest.mark.parametrize("what, kind", [("raise", "error"), ("die", "exit"), ("exit", "exit")])
def test_an_end_without_an_answer_is_told_apart(start_sandbox: StartSandbox, what: str, kind: str) -> None:
    """Raising is an error that AWS reports; a BaseException or a dead process is no answer at all."""
    sandbox = start_sandbox(HANDLER, "")

    outcome = sandbox.invoke({"do": what})

    assert outcome.kind == kind
    assert sandbox.invoke({}).kind == "response"


def test_a_handler_that_cannot_be_loaded_is_an_init_error(start_sandbox: StartSandbox) -> None:
    """AWS's client reports why the module did not load, and ends."""
    outcome = start_sandbox("import no_such_module", "").invoke({})

    assert outcome.kind == "init"
    assert outcome.payload["errorType"] == "Runtime.ImportModuleError"


def test_a_shutdown_is_sigterm_first(start_sandbox: StartSandbox) -> None:
    """A sandbox that is shut down hears SIGTERM, and dies of it if it has no handler."""
    sandbox = start_sandbox(HANDLER, "", freeze=True)
    sandbox.invoke({})

    assert sandbox.shut_down() == -signal.SIGTERM
    assert sandbox.pid == 0

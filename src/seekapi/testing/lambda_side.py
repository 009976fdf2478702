"""What AWS Lambda hands to a handler: a context whose time runs out, and an event."""

from __future__ import annotations

import time
from uuid import uuid4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FakeLambdaContext:
    """The `context` of a Lambda handler. Its remaining time shrinks with `clock`, in seconds, from `timeout_s` on."""

    function_name = "seekapi-test"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:local:000000000000:function:seekapi-test"
    memory_limit_in_mb = "128"
    log_group_name = "/aws/lambda/seekapi-test"
    log_stream_name = "seekapi-test"
    identity = None
    client_context = None

    def __init__(
        self, timeout_s: float = 60.0, *, request_id: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.aws_request_id = request_id or str(uuid4())
        self._clock = clock
        self._deadline = clock() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, never below zero."""
        return max(0, int((self._deadline - self._clock()) * 1000))


def make_event(
    input_presigned_url: str = "", *, job_uuid: str | None = None, execution_token: str | None = None, **more: Any
) -> dict[str, Any]:
    """An event as the platform sends it, with ids of its own where none are given.

    In local mode a plain path will do as the URL; `DevPlatform.invoke` makes events by itself.
    """
    return {
        "job_uuid": job_uuid or str(uuid4()),
        "execution_token": execution_token or f"test-{uuid4().hex}",
        "input_presigned_url": input_presigned_url,
        **more,
    }

"""One call of the jobs API: the request out, the good answer back, inside one total deadline.

What reaches outside is handed in: the transport, the clock, and `pause`, which sleeps.
"""

from __future__ import annotations

import time

from .. import _redaction
from .._protocol import job_calls
from .._transport import Policy
from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._protocol.job_calls import Check, Service
    from .._protocol.messages import Request, Response
    from .._transport import Transport
    from .._transport.policy import Sink
    from ..errors import SeekApiError

DEFAULT_TIMEOUT_S = 30.0
# A page of 500 jobs with their inputs and outputs; whatever is larger is not one.
MAX_REPLY_BYTES = 64 * 1024 * 1024
LONGEST_TIMEOUT_S = 7 * 24 * 3600.0


class Caller:
    """Sends requests to one service. `timeout_s` is for calls that have none of their own."""

    __slots__ = ("_redact", "_timeout_s", "_transport", "clock", "pause", "service")

    def __init__(
        self,
        service: Service,
        transport: Transport,
        *,
        secrets: tuple[str, ...] = (),
        timeout_s: float = DEFAULT_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.service = service
        self.clock = clock
        self.pause = pause
        self._transport = transport
        self._redact = _redaction.Redactor(secrets).text
        self._timeout_s = checked_timeout(timeout_s)

    def deadline(self, timeout_s: float | None) -> float:
        """The moment at which a call that begins now is over."""
        return self.clock() + (self._timeout_s if timeout_s is None else checked_timeout(timeout_s))

    def value(self, request: Request, deadline: float, check: Check = job_calls.is_object) -> Any:
        """The JSON value of the answer, which passes `check`. Raises ApiError, TransportError and their kin."""
        return job_calls.value_of(self.response(request, deadline, check))

    def response(self, request: Request, deadline: float, check: Check = job_calls.is_object) -> Response:
        """The answer, whose value passes `check`."""

        def judge(response: Response) -> SeekApiError | None:
            return job_calls.error_from(response, check, request.url, redact=self._redact, wall_time=time.time())

        return self._transport.send(request, deadline, Policy(judge=judge, response_bytes=MAX_REPLY_BYTES))

    def download(self, request: Request, deadline: float, sink: Sink) -> None:
        """Let `sink` have the body of the answer. Only a success is one."""

        def judge(response: Response) -> SeekApiError | None:
            if response.status == 200:
                return None
            return job_calls.error_from(response, _never_right, request.url, redact=self._redact, wall_time=time.time())

        self._transport.send(request, deadline, Policy(judge=judge, response_bytes=MAX_REPLY_BYTES, sink=sink))

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"<Caller of {self.service.base_url}>"


def checked_timeout(timeout_s: float) -> float:
    """A number of seconds. Raises ArgumentError."""
    is_number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if is_number and 0 < timeout_s <= LONGEST_TIMEOUT_S:
        return float(timeout_s)
    raise ArgumentError("timeout must be a number of seconds above 0, and at most a week")


def _never_right(value: object) -> str:
    return "not the file"

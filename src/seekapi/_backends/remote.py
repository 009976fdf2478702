"""The platform over HTTP: each call of the port is one request, and its reply is judged before it counts."""

from __future__ import annotations

from .. import _redaction
from .._protocol import problems, worker_calls
from .._transport import Policy, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .._protocol.messages import FileSegment, Request, Response
    from .._settings import Settings
    from ..errors import SeekApiError
    from .port import Context, Reply

# The platform answers with a few fields; whatever is larger is not the platform.
MAX_REPLY_BYTES = 1024 * 1024

# One transport per process and proxy setting, so that connections outlive an invocation.
_transports: dict[tuple[str, str], Transport] = {}


def shared_transport(settings: Settings) -> Transport:
    """The transport of this process for these settings."""
    route = (settings.https_proxy, settings.no_proxy)
    transport = _transports.get(route)
    if transport is None:
        transport = _transports.setdefault(route, Transport(https_proxy=route[0], no_proxy=route[1]))
    return transport


class RemoteBackend:
    """The platform behind `context["api_base"]`."""

    is_remote = True

    def __init__(self, settings: Settings, transport: Transport | None = None) -> None:
        self._transport = transport or shared_transport(settings)

    def push_data(
        self, context: Context, data: object, type: str, *, text: str, idempotency_key: str, deadline: float
    ) -> Reply:
        """Append one JSON value to the pushes of the job."""
        request = worker_calls.push_data(context, text, type, idempotency_key=idempotency_key)
        return self._call(context, request, deadline)

    def push_file(
        self,
        context: Context,
        name: str,
        source: FileSegment,
        content_type: str,
        *,
        idempotency_key: str,
        deadline: float,
    ) -> Reply:
        """Upload one file to the job's temporary files; memory does not grow with it."""
        request = worker_calls.push_file(context, name, source, content_type, idempotency_key=idempotency_key)
        return self._call(context, request, deadline)

    def charge(
        self,
        context: Context,
        idempotency_key: str,
        count: int,
        justification: Mapping[str, Any] | None,
        *,
        deadline: float,
    ) -> Reply:
        """Meter `count` events, once per key."""
        return self._call(context, worker_calls.charge(context, idempotency_key, count, justification), deadline)

    def register_request_id(self, context: Context, request_id: object, *, deadline: float) -> None:
        """Tell the platform under which id the runtime logs this job."""
        self._call(context, worker_calls.register_request_id(context, request_id), deadline)

    def begin_registration(self, context: Context, request_id: object, *, deadline: float) -> None:
        """Send the registration along with the calls that follow. Its fate is nobody's trouble."""
        request = worker_calls.register_request_id(context, request_id)
        self._transport.start(request, deadline, _policy(context))

    def settle(self) -> None:
        """Finish or abandon the registration."""
        self._transport.settle()

    def _call(self, context: Context, request: Request, deadline: float) -> Reply:
        return problems.reply_of(self._transport.send(request, deadline, _policy(context)))


def _policy(context: Context) -> Policy:
    redactor = _redaction.Redactor((context["secret"], context["execution_token"]))

    def judge(response: Response) -> SeekApiError | None:
        import time

        return problems.error_from(response, redact=redactor.text, wall_time=time.time())

    return Policy(judge=judge, response_bytes=MAX_REPLY_BYTES)

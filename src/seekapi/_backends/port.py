"""The port between a worker and whoever answers it: four calls, two adapters (remote, local).

Everything is checked before it comes here: the context is complete, the data has a JSON form, the name is a
string. `deadline` is a point on the monotonic clock in seconds (`time.monotonic()`); work that is not done by
then raises TransportTimeout. Every refusal is a typed error: a normal return means that it is kept.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from .._protocol.messages import FileSegment

    Context = Mapping[str, str]
    Reply = dict[str, Any]

    class Backend(Protocol):
        """Who answers a worker. `context` carries job_uuid, execution_token, api_base and secret.

        `is_remote`: a push may have to be sent again, so it needs an idempotency key, and a complete context.
        """

        is_remote: bool

        def push_data(
            self, context: Context, data: object, type: str, *, text: str, idempotency_key: str, deadline: float
        ) -> Reply:
            """Keep one JSON value as a push of the job; `text` is `data` as ASCII JSON. Return the platform's reply."""
            ...

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
            """Keep one file under `name`; return the platform's reply."""
            ...

        def charge(
            self,
            context: Context,
            idempotency_key: str,
            count: int,
            justification: Mapping[str, Any] | None,
            *,
            deadline: float,
        ) -> Reply:
            """Meter `count` events once per key; return `ok`, `metered_event_count`, `limit_reached`."""
            ...

        def register_request_id(self, context: Context, request_id: object, *, deadline: float) -> None:
            """Tell the platform under which id the runtime logs this job."""

        def begin_registration(self, context: Context, request_id: object, *, deadline: float) -> None:
            """The same in the background of the calls that follow: never waits, never raises."""

        def settle(self) -> None:
            """End what runs in the background; nothing of it outlives this call."""

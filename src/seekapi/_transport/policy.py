"""How one kind of call wants to be treated: what counts as an answer, how large it may be, where it may lead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .._protocol.messages import Response
    from ..errors import SeekApiError

    Judge = Callable[[Response], SeekApiError | None]
    Keep = Callable[[bytes], object]
    Sink = Callable[[Response], Keep | None]


class Policy:
    """What `send` does with a request besides sending it.

    `judge` says which typed error a complete response is, None for a good one; the error's `.retryable` and
    `.retry_after` steer the retries. `response_bytes` caps the body, decoded or not. `redirects` is how many are
    followed (calls with a secret follow none). `inflate` asks for gzip. `guard` refuses addresses that only the
    machine itself should reach, at every hop; `allowed_hosts`, if any, are the only ones (`.example.com` means all
    of that domain). `sink` is asked in every attempt, with the head of the response: what it returns takes the body,
    of any size, piece by piece, and the response stays empty; for None it is read as ever.
    """

    __slots__ = ("allowed_hosts", "guard", "inflate", "judge", "redirects", "response_bytes", "sink")

    def __init__(
        self,
        *,
        judge: Judge,
        response_bytes: int,
        redirects: int = 0,
        inflate: bool = False,
        guard: bool = False,
        allowed_hosts: tuple[str, ...] = (),
        sink: Sink | None = None,
    ) -> None:
        self.judge = judge
        self.response_bytes = response_bytes
        self.redirects = redirects
        self.inflate = inflate
        self.guard = guard
        self.allowed_hosts = allowed_hosts
        self.sink = sink

"""One request as it comes in: let in or refused by its head, then its body, in memory or to where its route puts it."""

from __future__ import annotations

from .app import UNWANTED_BYTES, by_name, shaped, too_large
from .exchange import Answer, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._protocol.http1 import RequestHead
    from .app import App
    from .exchange import Incoming, Receiver, Route


class Reception:
    """What has come of one request. Raises Refusal, or what a receiver raises, as soon as there is a reason to.

    `early_answer` is one that was found without the body; `may_stay` says whether the connection can go on after it,
    because the body is short enough to be read and dropped.
    """

    __slots__ = (
        "_app",
        "_pieces",
        "body_bytes",
        "early_answer",
        "has_body",
        "head",
        "may_stay",
        "receiver",
        "request",
        "route",
    )

    def __init__(self, app: App, head: RequestHead) -> None:
        self._app = app
        self._pieces: list[bytes] = []
        self.head = head
        self.body_bytes = 0
        self.receiver: Receiver | None = None
        self.route: Route | None = None
        self.request: Incoming | None = None
        self.early_answer: Answer | None = None
        self.has_body, self.may_stay = True, False
        self._open(app, head)

    @property
    def path(self) -> str:
        """What was asked for, without its query."""
        return self.head.target.partition("?")[0]

    @property
    def is_read(self) -> bool:
        """Whether nothing is written for it: neither by its handler nor by a receiver."""
        return self.receiver is None and self.route is not None and not self.route.writes

    def take(self, data: bytes) -> None:
        """The next piece of the body. It is counted, whatever length was announced."""
        self.body_bytes += len(data)
        if self.early_answer is not None:
            return
        assert self.route is not None
        if self.body_bytes > (self.route.limit_bytes or UNWANTED_BYTES):
            raise too_large(self.route)
        if self.receiver is not None:
            self.receiver.feed(data)
        elif self.route.body != "none":
            self._pieces.append(data)

    def whole_body(self) -> bytes:
        """The body, if it went into memory."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def discard(self) -> None:
        """Nothing of it is needed any more."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            try:
                receiver.discard()
            except OSError as error:
                self._app.refused(error, self.path)

    def _open(self, app: App, head: RequestHead) -> None:
        try:
            named = by_name(head.headers)
            length = int(named.get("content-length", "0"))
            is_chunked = "transfer-encoding" in named
            self.has_body = is_chunked or length > 0
            # Who waits for a 100 may send its body after another answer, or not: nobody can tell what comes next.
            self.may_stay = length <= UNWANTED_BYTES and not (is_chunked or (head.expects_continue and self.has_body))
            opened = app.open(head, named)
            if isinstance(opened, Answer):
                self.early_answer = opened
                return
            self.route, self.request = opened
            if self.route.receiver is not None:
                self.receiver = self.route.receiver(app.platform, self.request)
        except Refusal as refusal:
            self.early_answer = shaped(refusal, self.path)
            self.may_stay = self.may_stay and refusal.status != 413

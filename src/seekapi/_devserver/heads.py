"""The heads of answers: what every one of them says, and the bytes of those that come often.

The security headers are on everything, errors too. There is no CORS header here, and no place to add one by default.
"""

from __future__ import annotations

import time

from .._protocol.http1 import encode_response_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .exchange import Answer

SECURITY = (
    # Nothing that is served may load, run, frame or send anything, unless its own page says which of ours.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_WITH_NO_BODY = frozenset((204, 304))
# Types of files that workers chose are among the keys.
_MOST_KEPT = 256
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Heads:
    """Makes heads. `now` is the wall clock; its second is in the Date of every answer (RFC 9110 6.6.1)."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._second = 0
        self._date = b""
        self._kept: dict[tuple[int, str, bool], bytes] = {}

    def of(self, answer: Answer, size_bytes: int | None, *, stays_open: bool) -> bytes:
        """The head of `answer`; None for a body that ends with the connection. Raises LocalMisuse."""
        key = (answer.status, answer.content_type, stays_open)
        start = None if answer.headers else self._kept.get(key)
        if start is None:
            start = _start(answer, stays_open=stays_open)
            if not answer.headers:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = start
        now = int(self._now())
        if now != self._second:
            self._second, self._date = now, _date(now)
        if size_bytes is None or answer.status in _WITH_NO_BODY:
            return b"%b\r\nDate: %b\r\n\r\n" % (start, self._date)
        return b"%b\r\nDate: %b\r\nContent-Length: %d\r\n\r\n" % (start, self._date, size_bytes)


def _start(answer: Answer, *, stays_open: bool) -> bytes:
    """All but what changes from one answer to the next, checked by the codec."""
    own = {name.lower() for name, _ in answer.headers}
    fields = [*answer.headers, *(field for field in SECURITY if field[0].lower() not in own)]
    if answer.content_type:
        fields.insert(0, ("Content-Type", answer.content_type))
    if not stays_open:
        fields.append(("Connection", "close"))
    return encode_response_head(answer.status, fields).removesuffix(b"\r\n\r\n")


def _date(second: int) -> bytes:
    """`second` as an HTTP date, whatever the language of this machine."""
    at = time.gmtime(second)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year} {clock} GMT".encode("ascii")

"""The half of a connection that goes out: answers in memory, files from the disk, live events from the record.

Nothing is read before the other side has taken what was sent before: a slow reader costs one buffer.
"""

from __future__ import annotations

import asyncio
from functools import partial

from .._protocol.event_stream import HEARTBEAT
from .._protocol.http1 import LocalMisuse
from .._protocol.messages import FileSegment
from .app import shaped
from .exchange import Answer, Refusal
from .streams import HEARTBEAT_S, LiveEvents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from .serve import Server

WAITING, BODY, WORKING, SENDING, LEAVING, GONE = range(6)

# Who takes nothing for so long is not reading.
STALL_S = 30.0
BUFFER_BYTES = 256 * 1024
# After so much of a file, others have a turn.
TURN_BYTES = 1024 * 1024
BUSY = Refusal(503, "BUSY", "too many requests at once", (("Retry-After", "1"),))


class Outgoing(asyncio.Protocol):
    """What `Connection` builds on. How it goes on after an answer is the connection's affair."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self.state = WAITING
        self.events: LiveEvents | None = None
        self._stays_open = True
        self._is_eof = False
        self._is_paused = False
        self._stall_at: float | None = None
        self._unsent_bytes = 0
        self._file: BinaryIO | None = None
        self._file_left = 0
        self._beat_at = 0.0

    def _hold(self) -> bool:
        raise NotImplementedError

    def _answered(self) -> None:
        raise NotImplementedError

    def _leave(self) -> None:
        raise NotImplementedError

    def _read_on(self) -> None:
        raise NotImplementedError

    def _path(self) -> str:
        raise NotImplementedError

    def pause_writing(self) -> None:
        """The other side does not keep up."""
        self._is_paused = True
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._stall_at = self._server.clock() + STALL_S

    def resume_writing(self) -> None:
        """It does again."""
        self._is_paused = False
        self._stall_at = None
        if self.state == SENDING:
            self.pump()
        else:
            self._read_on()

    def pump(self) -> None:
        """Send what there is of a file or of live events, while the other side takes it."""
        try:
            if self.events is not None:
                self._pump_events(self.events)
            elif self._file is not None:
                self._pump_file(self._file)
        except Exception as error:  # Too late for a status: that it breaks off is all that can be said.
            self._server.app.refused(error, self._path())
            self.abort()

    def abort(self) -> None:
        """The end, at once."""
        self._transport.abort()

    def _send(self, answer: Answer, *, has_body: bool = True) -> None:
        """The head, and as much of the body as there is and fits; without one for a HEAD."""
        try:
            self._write(answer, has_body=has_body)
        except (OSError, LocalMisuse) as error:
            self._write(self._server.app.refused(error, self._path()), has_body=has_body)

    def _write(self, answer: Answer, *, has_body: bool) -> None:
        body = answer.body
        if answer.cut_after is not None:
            self._cut(answer, answer.cut_after)
        elif answer.drip_s and isinstance(body, bytes):
            self._transport.write(self._server.heads.of(answer, len(body), stays_open=self._stays_open))
            self.state = SENDING
            self._drip(body if has_body else b"", answer.drip_s)
        elif isinstance(body, bytes):
            head = self._server.heads.of(answer, len(body), stays_open=self._stays_open)
            self._transport.write(head + body if has_body else head)
            self._answered()
        elif isinstance(body, FileSegment):
            head = self._server.heads.of(answer, body.size_bytes, stays_open=self._stays_open)
            self._file, self._file_left = body.open(), body.size_bytes if has_body else 0
            self._transport.write(head)
            self.state = SENDING
            self.pump()
        else:
            self._go_live(answer, body, has_body=has_body)

    def _go_live(self, answer: Answer, events: LiveEvents, *, has_body: bool) -> None:
        if not self._hold():
            self._send(shaped(BUSY, self._path()), has_body=has_body)
            return
        self._stays_open = False
        self._transport.write(self._server.heads.of(answer, None, stays_open=False))
        if not has_body:
            self._answered()
            return
        self.events, self.state = events, SENDING
        self._beat(events.opening())
        self.pump()

    def _cut(self, answer: Answer, cut_after: int) -> None:
        """A fault on purpose: the connection ends in the middle."""
        if not cut_after or not isinstance(answer.body, bytes):
            self.abort()
            return
        head = self._server.heads.of(answer, len(answer.body), stays_open=False)
        self._transport.write(head + answer.body[:cut_after])
        self._leave()

    def _drip(self, data: bytes, drip_s: float) -> None:
        """Another one: the next byte, and then a pause."""
        if self.state != SENDING:
            return
        self._transport.write(data[:1])
        if data:
            self._server.call_later(drip_s, partial(self._drip, data[1:], drip_s))
        else:
            self._answered()

    def _pump_file(self, file: BinaryIO) -> None:
        turn_ends_at = self._file_left - TURN_BYTES
        while self._file_left and not self._is_paused:
            if self._file_left <= turn_ends_at:
                self._server.soon(self.pump)
                return
            data = file.read(min(BUFFER_BYTES, self._file_left))
            if not data:
                raise OSError("a file is shorter than it was")
            self._file_left -= len(data)
            self._transport.write(data)
        if not self._file_left:
            self._answered()

    def _pump_events(self, events: LiveEvents) -> None:
        while not self._is_paused and not events.is_over:
            batch = events.next_batch()
            if not batch:
                break
            self._beat(batch)
        if events.is_over or self._is_eof:
            self._leave()

    def _beat(self, data: bytes = HEARTBEAT) -> None:
        """Something of a live stream; if there is nothing, a sign of life."""
        self._beat_at = self._server.clock() + HEARTBEAT_S
        self._transport.write(data)

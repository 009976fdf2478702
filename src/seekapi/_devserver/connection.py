"""One connection: requests in, answers out, one at a time and in order.

    WAITING    for a head: a new connection, half of a head, or nothing since the last answer
    BODY       the head was let in, its body is coming
    WORKING    it waits for its turn, the handler has it, or the store, or something has to happen first (a long poll)
    SENDING    a file or live events go out, as fast as the other side takes them
    LEAVING    all is said; what still comes is dropped, until the other side closes or time is up

Every state but WORKING has a deadline, which the server's tick keeps, and so have turns and long polls. What the peer
sends while its request is worked on is held back: a little of it in memory, the rest in the peer's own buffers. A
client that leaves is not worth a word.
"""

from __future__ import annotations

import asyncio
from functools import partial

from .._protocol.http1 import CLOSED, END, NEED_DATA, BadMessage, RequestReader, Truncated
from .app import UNWANTED_BYTES, shaped
from .exchange import Answer, Later, Refusal
from .outgoing import BODY, BUFFER_BYTES, BUSY, GONE, LEAVING, SENDING, STALL_S, WAITING, WORKING, Outgoing
from .reception import Reception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._protocol.http1 import RequestHead
    from .serve import Server

HEAD_S = 5.0
# An upload has more time the more of it has come.
BODY_S = 10.0
# A request that was not begun by then is refused: so the client is told that nothing was done.
TURN_S = 2.0
UPLOAD_BYTES_PER_S = 64 * 1024
IDLE_S = 60.0
LEAVING_S = 2.0
# Who sends a body that is too large often reads the refusal only after it.
DROPPED_BYTES = 32 * 1024 * 1024

# What may wait in memory of the requests behind this one.
HELD_BYTES = 64 * 1024
TOO_SLOW = Refusal(408, "TOO_SLOW", "the request did not come in time")


class Connection(Outgoing):
    """Between one socket and the app. `since` is when it was made, was last answered, or asked again."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._reader = RequestReader()
        self._reception: Reception | None = None
        self.later: Later | None = None
        self.since = self.heard_at = server.clock()
        self.is_idle = False
        self._deadline: float | None = self.heard_at + HEAD_S
        self._body_began = 0.0
        self._is_lent = False
        self._dropped_bytes = 0

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server counts it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(BUFFER_BYTES)
        self._server.arrived(self)

    def data_received(self, data: bytes) -> None:
        """Read on, if this is the time to read; otherwise hold it back."""
        self.heard_at = self._server.clock()
        if self.state == LEAVING or self.events is not None:
            self._drop(len(data))
            return
        self._reader.feed(data)
        if self.state <= BODY and not self._is_paused:
            self._read()
        elif self._reader.surplus_bytes > HELD_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Nothing more will come. What was asked until now is still answered."""
        self._is_eof = True
        if self.state >= LEAVING or self.events is not None:
            return False
        self._reader.feed_eof()
        if self.state <= BODY:
            self._read()
        self.ask_again(is_last=True)  # Most who end their side have left: no place is held for them.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was going on ends here."""
        self.state = GONE
        self._end_request()
        self._server.left(self)

    # What the server asks and tells.

    def rank(self) -> tuple[bool, float]:
        """Who goes first when there are too many: who has not asked for anything, or not to the end; the oldest.

        What came of an upload makes it younger; that a byte came now and then does not.
        """
        body_bytes = self._reception.body_bytes if self._reception is not None else 0
        return self.is_idle, self.since + body_bytes / UPLOAD_BYTES_PER_S

    def memory_bytes(self) -> int:
        """How much of its request's body is in memory."""
        reception = self._reception
        return reception.body_bytes if reception is not None and reception.receiver is None else 0

    def tick(self, now: float) -> None:
        """Keep the deadlines."""
        if self._is_paused or self.state == LEAVING:
            self._note_progress(now)
        if now > (self._deadline or now) or now > (self._stall_at or now):
            self._time_is_up(now)
        elif self.events is not None and not self._is_paused and now > self._beat_at:
            self._beat()

    def ask_again(self, *, is_last: bool = False) -> None:
        """Something happened that a long poll may have waited for."""
        later = self.later
        if later is None:
            return
        try:
            answer = later.ask(is_last)
        except Exception as error:
            answer = self._server.app.refused(error, self._path())
        if answer is not None:
            self.later = None
            self._server.release(self)
            self._answer(answer)

    def finished(self, answer: Any, error: BaseException | None) -> None:
        """The handler has said what the answer is, and what it wrote is committed; or it has failed."""
        self._is_lent = False
        if self.state != WORKING:
            self._discard()
        elif error is not None:
            self._answer(self._server.app.refused(error, self._path()))
        elif isinstance(answer, Later):
            self._wait(answer)
        else:
            self._answer(answer)

    def close(self) -> None:
        """What was written still goes out."""
        self._leave()

    # A request comes in.

    def _read(self) -> None:
        """Event after event, until a request is complete or more has to come."""
        reader = self._reader
        try:
            while self.state <= BODY and not self._is_paused:
                event = reader.next_event()
                if event is END:
                    self._complete()
                elif event is NEED_DATA:
                    if self.is_idle and reader.started:  # From its first byte on, there is less time for a head.
                        self.is_idle = False
                        self.since = self.heard_at
                        self._deadline = self.heard_at + HEAD_S
                    return
                elif event is CLOSED:
                    self._leave()
                elif type(event) is bytes:
                    self._take(event)
                else:
                    self._begin(event)  # type: ignore[arg-type]
        except Truncated:
            self.abort()
        except BadMessage as error:
            self._server.counts["malformed"] += 1
            self._send_last(shaped(Refusal(error.status, "MALFORMED_REQUEST", str(error)), self._path()))
        except Exception as error:
            self._send_last(self._server.app.refused(error, self._path()))

    def _begin(self, head: RequestHead) -> None:
        if self.is_idle:
            self.is_idle, self.since = False, self.heard_at
        self.state = BODY
        self._stays_open = not (head.will_close or self._server.is_leaving)
        self._reception = reception = Reception(self._server.app, head)
        self._body_began = self.heard_at
        self._deadline = self.heard_at + BODY_S
        if reception.early_answer is not None and not reception.may_stay:
            self._send_last(reception.early_answer)
        elif head.expects_continue and reception.has_body:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, data: bytes) -> None:
        reception = self._reception
        assert reception is not None
        reception.take(data)
        if reception.receiver is not None:
            self._deadline = self._body_began + BODY_S + reception.body_bytes / UPLOAD_BYTES_PER_S
        elif reception.body_bytes > UNWANTED_BYTES and not self._server.has_memory():
            self._refuse()

    # A request is complete.

    def _complete(self) -> None:
        self.state = WORKING
        self._deadline = None
        reception = self._reception
        assert reception is not None
        if reception.early_answer is not None:
            self._answer(reception.early_answer)
        elif reception.is_read:
            self.begin()
        else:
            self._deadline = self._server.clock() + TURN_S
            if not self._server.admit(self):
                self._refuse()

    def begin(self) -> None:
        """It is this request's turn."""
        if self.state != WORKING:
            return
        self._deadline = None
        reception = self._reception
        assert reception is not None
        if reception.receiver is not None:
            self._is_lent = True
            self._server.in_a_thread(reception.receiver.finish, self._received)
        else:
            self._work(reception, reception.whole_body())

    def _refuse(self) -> None:
        self._server.counts["busy"] += 1
        self._send_last(shaped(BUSY, self._path()))

    def _received(self, body: object, error: BaseException | None) -> None:
        self._is_lent = False
        if self.state != WORKING or error is not None:
            self.finished(None, error)
            return
        assert self._reception is not None
        self._work(self._reception, body)

    def _work(self, reception: Reception, body: object) -> None:
        platform, route, request = self._server.app.platform, reception.route, reception.request
        assert route is not None and request is not None
        request.body = body
        try:
            if route.writes:
                self._is_lent = True
                self._server.post(partial(route.handler, platform, request), self)
                return
            answer, failure = route.handler(platform, request), None
        except Exception as error:
            answer, failure = None, error
        self.finished(answer, failure)

    def _wait(self, later: Later) -> None:
        self._server.release(self)  # Whoever waits for something else than the store takes nobody's turn.
        self.later = later
        self._deadline = self._server.clock() + later.timeout_s
        # Who cannot be held gets what there is, as from a server that holds nobody.
        self.ask_again(is_last=self._is_eof or not self._hold())

    # The answer goes out.

    def _answer(self, answer: Answer) -> None:
        self._deadline = None
        if answer.delay_s:
            delay_s, answer.delay_s = answer.delay_s, 0.0
            self._server.call_later(delay_s, partial(self.finished, answer, None))
            return
        self._stays_open = self._stays_open and not self._server.is_leaving
        reception = self._reception
        self._send(answer, has_body=reception is None or reception.head.method != "HEAD")

    def _hold(self) -> bool:
        return self._server.hold(self)

    def _answered(self) -> None:
        """On to the next request, or to the end."""
        self._end_request()
        if not self._stays_open:
            self._leave()
            return
        self._reader.start_next()
        self.state = WAITING
        self.is_idle = True
        self.since = self._server.clock()
        self._deadline = self.since + IDLE_S
        if self._reader.surplus_bytes or self._is_eof or not self._transport.is_reading():
            self._server.soon(self._read_on)

    def _read_on(self) -> None:
        """The next of several requests that came together, after everybody else had a turn."""
        if self.state <= BODY:
            self._transport.resume_reading()
            self._read()

    def _send_last(self, answer: Answer) -> None:
        """An answer after which nothing can be read."""
        if self.state >= SENDING:
            return
        assert isinstance(answer.body, bytes)
        self._transport.write(self._server.heads.of(answer, len(answer.body), stays_open=False) + answer.body)
        self._leave(lingers=True)

    # The end.

    def _leave(self, *, lingers: bool = False) -> None:
        """Close once everything written is sent. `lingers`: more may come, and to close on unread bytes would reset the
        connection, and lose the answer; so that is read first, and dropped."""
        self.state = LEAVING
        self._end_request()
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._deadline = self._server.clock() + (STALL_S if self._unsent_bytes else LEAVING_S)
        if not lingers or self._is_eof or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()

    def _note_progress(self, now: float) -> None:
        """Whoever still takes something has time for the rest."""
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes == self._unsent_bytes:
            return
        self._unsent_bytes = unsent_bytes
        if self.state == LEAVING:
            self._deadline = now + (STALL_S if unsent_bytes else LEAVING_S)
        elif self._is_paused:
            self._stall_at = now + STALL_S

    def _end_request(self) -> None:
        """What only this request needed goes; what the store or a thread still has in hand, when it comes back."""
        self._server.release(self)
        self.later = self.events = None
        if self._file is not None:
            self._file.close()
            self._file = None
        if not self._is_lent:
            self._discard()

    def _discard(self) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.discard()

    def _drop(self, size_bytes: int) -> None:
        self._dropped_bytes += size_bytes
        if self._dropped_bytes > DROPPED_BYTES:
            self.abort()

    def _time_is_up(self, now: float) -> None:
        if self.later is not None and (self._stall_at is None or now <= self._stall_at):
            self._deadline = None
            self.ask_again(is_last=True)
        elif self.state == WORKING:
            self._refuse()
        elif self.state <= BODY and self._stall_at is None and self._reader.started:
            self._server.counts["late"] += 1
            self._send_last(shaped(TOO_SLOW, self._path()))
        else:
            self.abort()

    def _path(self) -> str:
        return self._reception.path if self._reception is not None else "/"

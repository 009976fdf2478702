"""The server: one loop, its connections, and what they may take together.

The loop's thread does everything that is quick: parsing, reading handlers, writing answers. Whatever waits for the
disk waits elsewhere: writing handlers on the store's own thread, the end of an upload on one of a few others. What
comes back from there comes in groups, since the store commits in groups, and wakes the loop once for each.

How many connections: reads are answered as they come. `busy_limit` writes are worked on at once; those that come
meanwhile wait for their turn, and whoever has none in time is answered 503. Connections that ask for nothing do not
count against that: when more than `busy_limit` have been silent for a while, the oldest of them are closed, those first
that never asked for anything. So half-open connections, however many, keep nobody out. Live streams and long polls have
limits of their own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from functools import partial

from ..errors import ConfigurationError
from .access import LOOPBACK_NAMES, Access
from .app import App, log, routes
from .connection import Connection
from .heads import Heads
from .outgoing import BODY, LEAVING, WAITING
from .ports import LOOPBACK, open_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from typing import Any

    from .exchange import Route
    from .platform import Platform

BUSY_LIMIT = 64
# So many more may wait for their turn.
QUEUE_LIMIT = 256
HELD_LIMIT = 128
# A long poll can as well be answered at once, a live stream cannot: there is a place left for some of these.
POLL_LIMIT = 96
# Never more sockets than this, not even for the moment that a newcomer has to say what it wants.
SOCKET_LIMIT = 512
# A process of 200 threads that all connect at once needs a while to send 200 requests.
NEWCOMER_S = 1.0
# Of all bodies together that are not uploads to the disk.
MEMORY_BYTES = 512 * 1024 * 1024
TICK_S = 0.25
# What happened within so long is one piece of news for live streams.
NEWS_S = 0.01
GRACE_S = 5.0


class Server:
    """Serves `platform`: `listen()`, then `run()` until `stop()`; or `start()` for a thread of its own.

    `served` are the routes, all of them by default. `clock` is the monotonic clock that deadlines are kept by.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        served: Iterable[Route] | None = None,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = log.warning,
        grace_s: float = GRACE_S,
    ) -> None:
        self.platform = platform
        self.host = host
        self.port = port
        self.clock = clock
        self.busy_limit = BUSY_LIMIT
        self.is_leaving = False
        self.counts: Counter[str] = Counter()
        self.heads = Heads(platform.now)
        self.app: App
        self._served = served
        self._tell = tell
        self._grace_s = grace_s
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event
        self._acceptor: asyncio.AbstractServer | None = None
        self._stopping = threading.Event()
        self._connections: dict[Connection, None] = {}
        self._busy: set[Connection] = set()
        self._queue: dict[Connection, None] = {}
        self._held: set[Connection] = set()
        self._timers: set[str] = set()
        self._replies: deque[tuple[Connection, Any, BaseException | None]] = deque()
        self._is_woken = False
        self._has_news = False

    # From outside, from any thread.

    def listen(self) -> str:
        """Open the port; the URL. Raises ConfigurationError, also for an address that others reach without `--auth`."""
        options = self.platform.options
        if self.host not in LOOPBACK and not options.needs_token:
            raise ConfigurationError(f"--host {self.host} is reached from other machines: add --auth, or leave it out")
        self._listener = open_port(self.host, self.port, self._tell)
        self.port = self._listener.getsockname()[1]
        is_wildcard = self.host in ("0.0.0.0", "::")
        shown = "127.0.0.1" if is_wildcard or self.host == "localhost" else self.host
        shown = f"[{shown}]" if ":" in shown else shown
        self.platform.url = f"http://{shown}:{self.port}"
        access = Access(
            port=self.port,
            names=tuple(dict.fromkeys((*LOOPBACK_NAMES, shown))),
            secret=self.platform.secret,
            api_key=self.platform.api_key,
            basic_auth=options.basic_auth,
            needs_token=options.needs_token,
            any_address=is_wildcard,
        )
        self.app = App(self.platform, routes() if self._served is None else self._served, access)
        return self.platform.url

    def run(self) -> None:
        """Serve until `stop()`; then what is under way is finished, for `grace_s` at most."""
        if self._listener is None:
            self.listen()
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(loop))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            self._loop = None
            loop.close()

    def start(self) -> Server:
        """Serve on a thread of its own."""
        if self._listener is None:
            self.listen()
        self._thread = threading.Thread(target=self.run, name="seekapi-server", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Come to an end; returns at once unless `start()` was used, and then when the end has come."""
        self._stopping.set()
        self._wake(self._shut_down)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # What connections ask for; all on the loop's thread.

    def arrived(self, connection: Connection) -> None:
        """One more."""
        self._connections[connection] = None
        self.counts["connections"] += 1
        self._after(TICK_S, self._tick)
        if len(self._connections) > SOCKET_LIMIT:
            self._evict(len(self._connections) - SOCKET_LIMIT, self._silent())
        if self.is_leaving:
            connection.close()

    def left(self, connection: Connection) -> None:
        """One less."""
        self._connections.pop(connection, None)
        if self.is_leaving and not self._connections:
            self._ended.set()

    def admit(self, connection: Connection) -> bool:
        """Have its request begin, now or when it is its turn. False if too many wait already."""
        if len(self._busy) < self.busy_limit:
            self._busy.add(connection)
            connection.begin()
            return True
        if len(self._queue) < QUEUE_LIMIT:
            self._queue[connection] = None
            return True
        return False

    def has_memory(self) -> bool:
        """Whether more of what is being sent may be kept in memory."""
        return sum(map(Connection.memory_bytes, self._connections)) <= MEMORY_BYTES

    def hold(self, connection: Connection) -> bool:
        """Whether it may wait for what happens, for as long as it likes."""
        limit = HELD_LIMIT if connection.later is None else POLL_LIMIT
        if len(self._held) >= limit or self.is_leaving:
            return False
        self._held.add(connection)
        return True

    def release(self, connection: Connection) -> None:
        """Its request is over, however it ended; its place is the next one's."""
        self._held.discard(connection)
        self._queue.pop(connection, None)
        self._busy.discard(connection)
        while self._queue and len(self._busy) < self.busy_limit:
            following = next(iter(self._queue))
            del self._queue[following]
            self._busy.add(following)
            self.soon(following.begin)

    def post(self, work: Callable[[Any], Any], connection: Connection) -> None:
        """Have the store do `work(tx)`; `connection.finished` hears of it after the commit."""
        self.platform.store.post(work, partial(self._replied, connection))

    def in_a_thread(self, work: Callable[[], object], done: Callable[[Any, BaseException | None], None]) -> None:
        """Do what waits for the disk elsewhere."""

        def tell(future: asyncio.Future[object]) -> None:
            error = future.exception()
            done(None if error is not None else future.result(), error)

        assert self._loop is not None
        self._loop.run_in_executor(None, work).add_done_callback(tell)

    def soon(self, call: Callable[[], object]) -> None:
        """When everybody else has had a turn."""
        assert self._loop is not None
        self._loop.call_soon(call)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """After `delay_s` seconds."""
        assert self._loop is not None
        self._loop.call_later(delay_s, call)

    # The loop.

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._ended = loop, asyncio.Event()
        loop.set_exception_handler(self._complain)
        unsubscribe = self.platform.store.subscribe(self._happened)
        assert self._listener is not None
        self._acceptor = await loop.create_server(partial(Connection, self), sock=self._listener, backlog=256)
        if self._stopping.is_set():
            self._shut_down()
        await self._ended.wait()
        unsubscribe()

    def _tick(self) -> None:
        """Keep every connection's deadline: one timer for all of them."""
        now = self.clock()
        for connection in list(self._connections):
            connection.tick(now)
        silent = [c for c in self._silent() if now - c.rank()[1] > NEWCOMER_S]
        self._evict(len(silent) - self.busy_limit, silent)
        if self._connections:
            self._after(TICK_S, self._tick)

    def _silent(self) -> list[Connection]:
        """Those that nothing is being done for."""
        return [c for c in self._connections if c.state in (WAITING, BODY, LEAVING)]

    def _evict(self, count: int, silent: list[Connection]) -> None:
        """Close so many of them."""
        for connection in sorted(silent, key=Connection.rank)[: max(0, count)]:
            self.counts["evicted"] += 1
            connection.abort()

    def _after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call once, however often it was asked for meanwhile."""
        name = call.__name__
        if name not in self._timers:
            self._timers.add(name)
            self.call_later(delay_s, partial(self._timer, name, call))

    def _timer(self, name: str, call: Callable[[], None]) -> None:
        self._timers.discard(name)
        call()

    def _replied(self, connection: Connection, value: Any, error: BaseException | None) -> None:
        """On the store's thread, for each request of a group."""
        self._replies.append((connection, value, error))
        if not self._is_woken:
            self._is_woken = True
            self._wake(self._hand_out)

    def _hand_out(self) -> None:
        self._is_woken = False
        replies = self._replies
        while replies:
            connection, value, error = replies.popleft()
            connection.finished(value, error)

    def _happened(self, events: object) -> None:
        """On the store's thread, after each commit with events: whoever waits for news hears of it."""
        if self._held and not self._has_news:
            self._has_news = True
            self._wake(partial(self._after, NEWS_S, self._tell_news))

    def _tell_news(self) -> None:
        self._has_news = False
        for connection in list(self._held):
            if connection.later is not None:
                connection.ask_again()
            else:
                connection.pump()

    def _shut_down(self) -> None:
        """No new connections; the silent ones and the endless ones go, the others after their answer."""
        if self.is_leaving or self._acceptor is None:
            return  # Once is enough; and a loop that has not begun to accept asks by itself.
        self.is_leaving = True
        self._acceptor.close()
        for connection in list(self._connections):
            if connection.later is not None:
                connection.ask_again(is_last=True)
            elif connection.state == WAITING or connection.events is not None:
                connection.close()
        if not self._connections:
            self._ended.set()
        self.call_later(self._grace_s, self._cut_off)

    def _cut_off(self) -> None:
        for connection in list(self._connections):
            connection.abort()
        self._ended.set()

    def _wake(self, call: Callable[[], object]) -> None:
        """Have the loop do something, from any thread; nothing if there is no loop any more."""
        loop = self._loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(call)
        except RuntimeError:
            pass

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What went wrong inside the loop; a client that left is not worth a word."""
        error = context.get("exception")
        if isinstance(error, OSError):
            return
        log.error("the server's loop: %s", context.get("message"), exc_info=error)

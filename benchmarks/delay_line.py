"""A long cable: what goes in at one end comes out at the other a while later, at any bandwidth.

    python benchmarks/delay_line.py PORT MILLISECONDS    prints {"port": ...}; each way takes that many milliseconds

Connecting takes a round trip as well: the system accepts at once, but the first bytes of a connection leave no earlier
than one round trip after it.

It also counts the round trips on the critical path, by a logical clock: whatever the client sends carries the number of
trips that it has seen come back so far, on any connection, and the answer adds one. So work of the processor is not
mistaken for waiting, and two trips side by side count once.

Orders, one line each, all answered: `reset`, `trips`, `drop` (close every connection, as a peer that lost patience),
`vanish` (forget every connection: the next byte is answered with a reset, as after a long freeze).
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import struct
import sys
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Line:
    """The cable: where it leads, how long it is, and what travels on it."""

    def __init__(self, port: int, one_way_s: float) -> None:
        self.port = port
        self.one_way_s = one_way_s
        self.trips = 0
        self.connections: set[NearEnd] = set()

    def obey(self, order: str) -> object:
        """One line from whoever measures."""
        if order == "trips":
            return self.trips
        if order == "reset":
            self.trips = 0
        for connection in tuple(self.connections):
            if order == "reset":
                connection.forget_trips()
            if order == "drop":
                connection.close()
            if order == "vanish":
                connection.has_vanished = True
        return "done"


class Delay:
    """One direction of one connection: first in, first out, each after its time."""

    def __init__(self, one_way_s: float) -> None:
        self._one_way_s = one_way_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def put(self, arrive: Callable[[], None], not_before: float = 0.0) -> None:
        """Have `arrive` called when what is sent now, or at `not_before`, reaches the other end."""
        self._waiting.append(arrive)
        due = max(self._loop.time(), not_before) + self._one_way_s
        # Each timer delivers the oldest: two timers of the same instant cannot change the order.
        self._loop.call_at(due, lambda: self._waiting.popleft()())


class NearEnd(asyncio.Protocol):
    """The client's end of one connection."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._there, self._back = Delay(line.one_way_s), Delay(line.one_way_s)
        self._established_at = self._loop.time() + 2 * line.one_way_s
        self._established_trip = line.trips + 1
        self._arrived_trip = 0
        self._far: asyncio.Transport | None = None
        self.has_vanished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is accepted: reach out to the other side at once, its answer travels anyway."""
        assert isinstance(transport, asyncio.Transport)
        self._near = transport
        self._line.connections.add(self)
        self._reaching = self._loop.create_task(self._reach())

    async def _reach(self) -> None:
        far, _ = await self._loop.create_connection(lambda: FarEnd(self), "127.0.0.1", self._line.port)
        self._far = far

    def data_received(self, data: bytes) -> None:
        """The client sends."""
        if self.has_vanished:
            # Linger of zero: the close is a reset.
            raw = self._near.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._back.put(self._near.abort)
            return
        trip = max(self._line.trips, self._established_trip)
        self._there.put(lambda: self._arrive(data, trip), self._established_at)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        self._line.connections.discard(self)
        self._there.put(self._close_far, self._established_at)

    def forget_trips(self) -> None:
        """A new count begins: what this connection carried before is not part of it."""
        self._established_trip = self._arrived_trip = 0

    def answered(self, data: bytes) -> None:
        """The server sends."""
        trip = self._arrived_trip + 1
        self._back.put(lambda: self._return(data, trip))

    def close(self) -> None:
        """End the connection, seen from both sides."""
        self._near.close()

    def far_end_left(self) -> None:
        """The server left."""
        self._back.put(self._near.close)

    def _arrive(self, data: bytes, trip: int) -> None:
        self._arrived_trip = max(self._arrived_trip, trip)
        if self._far is not None and not self._far.is_closing():
            self._far.write(data)

    def _return(self, data: bytes, trip: int) -> None:
        self._line.trips = max(self._line.trips, trip)
        if not self._near.is_closing():
            self._near.write(data)

    def _close_far(self) -> None:
        if self._far is not None:
            self._far.close()


class FarEnd(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, near: NearEnd) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        """The server sends."""
        self._near.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server left."""
        self._near.far_end_left()


async def lie(port: int, one_way_s: float) -> None:
    """Be the line until the input is closed."""
    loop = asyncio.get_running_loop()
    line = Line(port, one_way_s)
    server = await loop.create_server(lambda: NearEnd(line), "127.0.0.1", 0, backlog=128)
    ended = loop.create_future()

    def hear() -> None:
        order = sys.stdin.readline()
        if order:
            print(json.dumps(line.obey(order.strip())), flush=True)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin, hear)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await ended


def main() -> None:
    """From the command line."""
    # select() counts microseconds; epoll() milliseconds, which would lengthen each way by up to one.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(lie(int(sys.argv[1]), float(sys.argv[2]) / 1000))


if __name__ == "__main__":
    main()

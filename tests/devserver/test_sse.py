"""Live events: complete, in order, from where one left off, and never more in memory than one batch."""

from __future__ import annotations

import json

import pytest

from devserver.served import LIMIT_S, Clock, Peer, ask, request, serving, until
from seekapi._devserver import serve
from seekapi._protocol import event_stream


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(tmp_path, clock):
    with serving(tmp_path, clock=clock) as server:
        yield server


class EventReader:
    """Bytes in, events out: (id, kind, data), as the HTML standard has a browser read them."""

    def __init__(self):
        self._unread = b""
        self._id = self._kind = ""
        self._data = []

    def feed(self, data):
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            if not line and self._data:
                yield self._id, self._kind, "\n".join(self._data)
            if not line:
                self._kind, self._data = "", []
            elif name == "data":
                self._data.append(value)
            elif name == "event":
                self._kind = value
            elif name == "id":
                self._id = value


class Listener(Peer):
    """Somebody who listens to /events."""

    def __init__(self, server, target="/events", receive_bytes=None, **headers):
        super().__init__(server, receive_bytes)
        self.send(request(server.port, "GET", target, **headers))
        self._reader = EventReader()
        self._events = []
        self.raw = b""
        while b"\r\n\r\n" not in self.raw:
            self.raw += self.socket.recv(65536)
        self.head, _, rest = self.raw.partition(b"\r\n\r\n")
        self._events += self._reader.feed(rest)

    def hear(self, count):
        """The next `count` events, as (id, value)."""
        while len(self._events) < count:
            data = self.socket.recv(65536)
            assert data, "the stream ended"
            self.raw += data
            self._events += self._reader.feed(data)
        heard, self._events = self._events[:count], self._events[count:]
        return [(int(event_id), json.loads(data)) for event_id, _, data in heard]


@pytest.mark.parametrize(
    "event",
    [
        (1, "row", "{}"),
        (2**53, "log", '"a: b"'),
        (7, "x", "two\nlines\r\nof\rthree"),
        (8, "x", ""),
        (9, "x", " é\u2028"),
    ],
)
def test_an_event_is_read_as_it_was_written(event):
    """Whole, and byte by byte; line breaks in the data come back as line feeds."""
    data = (event_stream.encode_retry(1) + event_stream.encode(*event)).encode() + event_stream.HEARTBEAT
    reader = EventReader()

    expected = [(str(event[0]), event[1], event[2].replace("\r\n", "\n").replace("\r", "\n"))]
    assert list(EventReader().feed(data)) == expected
    assert [found for byte in data for found in reader.feed(bytes((byte,)))] == expected


def test_everything_is_told_in_order_as_it_happens(server):
    """What was there, then what comes, to each listener; none twice."""
    server.store.add(*range(250))
    with Listener(server) as one, Listener(server, "/events?after=240") as two:
        assert b"text/event-stream" in one.head and b"Connection: close" in one.head
        assert one.hear(250) == [(n + 1, n) for n in range(250)]
        assert two.hear(10) == [(n + 1, n) for n in range(240, 250)]
        for n in range(250, 300):
            server.store.add(n)

        assert one.hear(50) == two.hear(50) == [(n + 1, n) for n in range(250, 300)]


def test_whoever_lost_the_connection_goes_on_where_it_broke(server):
    """Last-Event-ID, as browsers send it; it counts more than the address."""
    server.store.add("a", "b", "c")
    with Listener(server) as first:
        last = first.hear(2)[-1][0]
    server.store.add("d")
    with Listener(server, "/events?after=0", last_event_id=str(last)) as second:
        assert second.hear(2) == [(3, "c"), (4, "d")]


@pytest.mark.parametrize("position", ["-1", "x", "1.5", "9" * 19, "١"])
def test_a_position_is_a_number(server, position):
    """Anything else is refused, not guessed."""
    assert ask(server, "GET", "/events", last_event_id=position.encode().decode("latin-1")).status == 400


def test_a_stream_that_is_over_says_so_by_ending(server):
    """After the last event, with nothing lost."""
    server.store.add("a", "end")
    with Listener(server) as listener:
        assert listener.hear(2) == [(1, "a"), (2, "end")]
        assert listener.is_closed()


def test_silence_is_broken_by_a_heartbeat(server, clock):
    """Every 15 s, so that both sides notice when the other is gone."""
    with Listener(server) as listener:
        while b"retry: 1000\n\n" not in listener.raw:
            listener.raw += listener.socket.recv(100)
        clock.ahead_s += 15.1

        assert listener.socket.recv(100) == b":\n\n"
        clock.ahead_s += 15.1
        assert listener.socket.recv(100) == b":\n\n"


def test_a_listener_that_does_not_read_costs_one_buffer(server):
    """20 MB of events while nobody reads: nothing piles up, and afterwards all of them are there."""
    text = "x" * 10_000
    with Listener(server, receive_bytes=65536) as listener:
        until(lambda: any(c.events is not None for c in server._connections))
        (stream,) = server._connections
        for n in range(200):
            server.store.add(*[[n, m, text] for m in range(10)])
        until(lambda: len(server.store.rows) == 2000)
        until(lambda: stream._is_paused)

        # One batch of a hundred is what a handler reads at once.
        assert stream._transport.get_write_buffer_size() < 120 * len(text)
        assert ask(server, "GET", "/hello").status == 200
        heard = [(event_id, row[:2]) for _ in range(40) for event_id, row in listener.hear(50)]
        assert heard == [(n * 10 + m + 1, [n, m]) for n in range(200) for m in range(10)]


def test_a_listener_that_left_is_forgotten(server):
    """Nothing is read for it any more."""
    with Listener(server):
        until(lambda: server._held)
    until(lambda: not server._held and not server._connections)


def test_six_tabs_do_not_take_the_place_of_requests(server, monkeypatch):
    """Streams are counted apart, and have a limit of their own."""
    monkeypatch.setattr(serve, "HELD_LIMIT", 100)
    listeners = [Listener(server) for _ in range(100)]
    refused = ask(server, "GET", "/events")

    assert (refused.status, refused.headers.get("Retry-After")) == (503, "1")
    assert ask(server, "GET", "/hello").status == 200
    server.store.add("news")
    assert [listener.hear(1) for listener in listeners] == [[(1, "news")]] * 100
    for listener in listeners:
        listener.socket.close()
    until(lambda: not server._held)
    with Listener(server) as again:
        assert again.hear(1)


def test_streams_end_with_the_server(server):
    """At once, whatever the grace is."""
    with Listener(server) as listener:
        server.stop()

        assert listener.is_closed()


def test_many_commits_are_one_piece_of_news(server):
    """A stream is woken for what happened together, not for each of a thousand commits."""
    with Listener(server) as listener:
        listener.socket.settimeout(LIMIT_S)
        for n in range(1000):
            server.store.add(n)

        assert listener.hear(1000)[-1] == (1000, 999)

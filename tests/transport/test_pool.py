"""The idle connections: reused while they are certainly fresh, and never after."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from seekapi import errors
from seekapi._transport import pool
from seekapi._transport.streams import Connection, PlainStream, Route
from seekapi._transport.targets import Target

from .loopback import API, INPUT, OK, get, interrupting, post, soon


class Clocks:
    """A monotonic and a wall clock that stand still until a test puts them forward."""

    def __init__(self):
        self._began, self._wall_began = time.monotonic(), time.time()
        self.ahead_s = self.wall_ahead_s = 0.0

    def monotonic(self):
        return self._began + self.ahead_s

    def wall(self):
        return self._wall_began + self.wall_ahead_s


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def transport(make_transport, clocks):
    return make_transport(clock=clocks.monotonic, wall_clock=clocks.wall)


@pytest.fixture
def send(transport, clocks):
    return lambda request, policy=API: transport.send(request, clocks.monotonic() + 20, policy)


def test_a_fresh_connection_is_used_again(serve, send):
    """Ten calls, one connection."""
    server = serve(lambda peer: peer.answer_all())

    for _ in range(10):
        send(post(server.url))

    assert (server.connections, len(server.requests)) == (1, 10)


@pytest.mark.parametrize(
    ("mono_s", "wall_s"), [(4.5, 4.5), (0.0, 4.5), (4.5, 0.0), (0.0, -5.0)], ids=["idle", "thawed", "odd", "set back"]
)
def test_a_connection_that_may_be_stale_is_not(serve, send, clocks, mono_s, wall_s):
    """Four seconds on either clock: while a machine sleeps, one of them may stand still."""
    server = serve(lambda peer: peer.answer_all())
    send(post(server.url))

    clocks.ahead_s, clocks.wall_ahead_s = mono_s, wall_s
    send(post(server.url))

    assert server.connections == 2


def test_a_connection_is_retired_after_a_minute(serve, send, clocks):
    """However busy it is: load balancers move, addresses change."""
    server = serve(lambda peer: peer.answer_all())

    for _ in range(25):
        send(post(server.url))
        # Never idle for four seconds, with room for a slow machine.
        clocks.ahead_s += 2.36
        clocks.wall_ahead_s += 2.36
    assert server.connections == 1
    clocks.ahead_s += 1.2
    send(post(server.url))

    assert server.connections == 2


@pytest.mark.parametrize("end", ["close", "reset", "stray"])
def test_what_happens_to_an_idle_connection_retires_it(serve, send, end):
    """The end, an error or a stray byte: each means that the next answer could not be trusted."""
    answered, ended = threading.Event(), threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(OK)
        answered.wait(20)
        {"close": peer.sock.close, "reset": peer.reset, "stray": lambda: peer.send(b"HTTP/1.1 200 OK\r\n")}[end]()
        ended.set()
        time.sleep(0.2)

    server = serve(script, lambda peer: peer.answer_all())
    send(post(server.url))
    answered.set()
    ended.wait(20)
    time.sleep(0.02)

    assert send(post(server.url, key=None)).body == b"{}"

    assert server.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npoisoned!",
    ],
    ids=["close", "http/1.0", "bytes after the body"],
)
def test_a_connection_that_says_so_or_says_too_much_is_not_kept(serve, send, response):
    """A response that nobody asked for is never read as the answer to the next request."""
    server = serve(lambda peer: peer.answer_all(response))

    assert [send(post(server.url)).body for _ in range(2)] == [b"{}", b"{}"]

    assert server.connections == 2


@pytest.mark.parametrize("is_processed", [False, True])
def test_a_reused_connection_that_dies_unheard_earns_one_fresh_try(serve, send, is_processed):
    """The peer closed while the request was on its way: a keyed call is sent again at once, on a new connection."""

    def script(peer):
        peer.read_request()
        peer.send(OK)
        if is_processed:
            peer.read_request()
        else:
            peer.read_head()
        peer.reset()

    server = serve(script, lambda peer: peer.answer_all())
    send(post(server.url))

    assert send(post(server.url)).body == b"{}"

    assert server.connections == 2


def test_a_reused_connection_that_dies_unheard_is_an_error_without_a_key(serve, send):
    """What may have been done and cannot be told apart is not done twice."""

    def script(peer):
        peer.read_request()
        peer.send(OK)
        peer.read_request()

    server = serve(script, lambda peer: peer.answer_all())
    send(post(server.url))

    with pytest.raises(errors.TransportError) as caught:
        send(post(server.url, key=None))

    assert (caught.value.outcome, server.connections) == ("unknown", 1)


def test_a_guarded_call_does_not_borrow_an_unguarded_connection(serve, send):
    """An address that was not checked is not lent to a call that asks for the check."""
    server = serve(lambda peer: peer.answer_all())

    send(post(server.url))
    send(get(server.url), INPUT)

    assert server.connections == 2


def test_an_interrupted_exchange_leaves_nothing_in_the_pool(serve, transport):
    """A half-used connection would give the next call the answer to this one."""

    class Stop(BaseException):
        pass

    def raise_stop(signum, frame):
        raise Stop

    server = serve(interrupting, lambda peer: peer.answer_all())
    previous = signal.signal(signal.SIGALRM, raise_stop)
    open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    try:
        with pytest.raises(Stop):
            transport.send(post(server.url), soon(), API)
    finally:
        signal.signal(signal.SIGALRM, previous)

    assert len(transport._pool) == 0
    if open_before:
        # The server's side of the connection may be open still.
        assert len(os.listdir("/proc/self/fd")) <= open_before + 1
    assert transport.send(post(server.url), soon(), API).body == b"{}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_use_its_parents_connection(serve, send, transport):
    """Two processes on one socket would read each other's answers."""
    server = serve(lambda peer: peer.answer_all())
    send(post(server.url))

    pid = os.fork()
    if pid == 0:
        try:
            ok = transport.send(post(server.url), soon(), API).body == b"{}"
        finally:
            os._exit(0 if ok else 1)
    _, child_status = os.waitpid(pid, 0)
    send(post(server.url))

    assert child_status == 0
    assert server.connections == 2


def test_threads_share_a_transport_without_sharing_a_connection(serve, transport):
    """Eight threads, each gets the answers to its own questions."""

    def echo(peer):
        while request := peer.read_request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request[1]), request[1]))

    server = serve(echo)
    wrong = []

    def ask(name):
        for n in range(30):
            body = f"{name}-{n}".encode()
            if transport.send(post(server.url, body), soon(), API).body != body:
                wrong.append(body)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert wrong == []
    assert len(server.requests) == 240
    assert len(transport._pool) == 1


def test_the_pool_does_not_grow_with_the_number_of_hosts(transport):
    """Redirects may lead to any number of places: whoever was idle longest makes room."""
    kept = transport._pool
    pairs = [_idle_connection(port) for port in range(1, pool.MOST_IDLE + 4)]

    assert all(kept.put(connection) for connection, _ in pairs)

    assert len(kept) == pool.MOST_IDLE
    assert [connection.stream.fileno() < 0 for connection, _ in pairs] == [True] * 3 + [False] * pool.MOST_IDLE
    kept.close()
    for _, ours in pairs:
        ours.close()


def test_the_end_of_the_process_is_silent(serve):
    """A connection that is idle when Python ends warns nobody."""
    server = serve(lambda peer: peer.answer_all())
    program = (
        "import time\n"
        "from seekapi._protocol.messages import Request\n"
        "from seekapi._transport import Policy, Transport\n"
        "kept = Transport()\n"
        "policy = Policy(judge=lambda response: None, response_bytes=100)\n"
        f"print(kept.send(Request('GET', {server.url!r}), time.monotonic() + 20, policy).status)\n"
    )

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )

    assert (done.stdout, done.stderr) == ("200\n", "")


@pytest.mark.parametrize("is_ticket", [True, False])
def test_under_tls_an_idle_connection_may_be_readable_and_silent(transport, is_ticket):
    """Session tickets can come late: what reading turns into nothing is no reason to drop a connection."""

    class Secure(PlainStream):
        secure = True

        def receive(self, size_bytes):
            data = super().receive(65536)
            return None if is_ticket else data

    connection, ours = _idle_connection(1, Secure)
    with ours:
        transport._pool.put(connection)
        ours.send(b"record")
        taken = transport._pool.take(connection.route)

    assert (taken is connection) is is_ticket
    connection.close()


def _idle_connection(port, kind=PlainStream):
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    route = Route(Target(False, "host", port, "/"), None, guarded=False)
    return Connection(route, kind(theirs), time.monotonic(), 0.0), ours


def test_a_connection_that_was_never_made_goes_without_a_word(monkeypatch):
    """As copy.deepcopy() leaves one behind when it meets the socket."""
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)

    Connection.__new__(Connection)

    assert said == []

"""One connection after another: order, deadlines, large things both ways, and a calm end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from functools import partial

import pytest

from devserver import served
from devserver.served import API_KEY, LIMIT_S, Clock, Peer, ask, count_for, request, serving, until
from seekapi._devserver import connection, ports, serve
from seekapi._devserver.connection import Connection
from seekapi._devserver.outgoing import WORKING
from seekapi._devserver.serve import Server
from seekapi.errors import ConfigurationError

FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def server(tmp_path_factory, clock):
    with serving(tmp_path_factory.mktemp("serve"), clock=clock) as server:
        yield server


def get(server, target="/hello", **headers):
    return request(server.port, "GET", target, **headers)


def test_a_connection_is_kept_for_the_next_request(server):
    """One connection for reads, writes and refusals."""
    before = server.counts["connections"]
    with Peer(server) as peer:
        statuses = [peer.ask("GET", target).status for target in ("/hello", "/nothing", "/boom", "/hello")]
        statuses.append(peer.ask("POST", "/rows", body={"a": 1}).status)

    assert statuses == [200, 404, 500, 200, 200]
    assert server.counts["connections"] - before == 1


@pytest.mark.parametrize(
    "head",
    ["GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", "GET /hello HTTP/1.0\r\nHost: {host}\r\n\r\n"],
)
def test_a_client_that_wants_to_close_is_let_go(server, head):
    """After the answer, and it is told so."""
    with Peer(server) as peer:
        peer.send(head.format(host=f"127.0.0.1:{server.port}").encode())

        assert peer.answer().headers.get("Connection") == "close"
        assert peer.is_closed()


def test_requests_that_come_together_are_answered_in_order(server):
    """Pipelined reads, slow ones, writes and refusals: the answers stand in the order of the questions."""
    targets = [f"/hello?name={n}" for n in range(300)]
    with Peer(server) as peer:
        peer.send(get(server, "/slow?s=0.05") + b"".join(get(server, target) for target in targets))
        peer.send(
            request(server.port, "POST", "/rows", body={"n": 1}) + get(server, "/nothing") + get(server, "/file/256")
        )

        assert peer.answer().json() == {"slow": True}
        assert [peer.answer().json()["hello"] for _ in targets] == [str(n) for n in range(300)]
        assert peer.answer().json()["ok"] is True
        assert peer.answer().status == 404
        assert peer.answer().body == bytes(range(256))


def test_a_pipeline_that_is_not_read_costs_one_buffer(server):
    """Whoever asks without reading is not asked to wait in our memory: reading stops where writing does."""
    until(lambda: not server._connections)
    block, sent = get(server, "/big/100000") * 100, 0
    with Peer(server, receive_bytes=4096) as peer:
        until(lambda: server._connections)
        (connection,) = server._connections
        peer.socket.setblocking(False)

        def has_enough():
            nonlocal sent
            with contextlib.suppress(BlockingIOError):
                while sent < 20_000_000:
                    sent += peer.socket.send(block)
            return sent >= 20_000_000 or not connection._transport.is_reading()

        until(has_enough)
        peer.socket.settimeout(LIMIT_S)

        assert sent < 20_000_000
        assert connection._transport.get_write_buffer_size() < 1_000_000
        assert connection._reader.surplus_bytes < 1_000_000
        assert {len(peer.answer().body) for _ in range(20)} == {100_000}


def test_a_request_arrives_byte_by_byte(server):
    """However it is cut into packets."""
    with Peer(server) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(server.port, "POST", "/rows", body={"slow": 1}):
            peer.send(bytes((byte,)))

        assert peer.answer().status == 200


def test_a_body_that_waits_for_a_sign_gets_it(server):
    """100-continue after the head was let in; a refusal instead, before the body was sent."""
    fields = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
    with Peer(server) as peer:
        peer.send(f"POST /rows HTTP/1.1\r\n{fields}Content-Type: application/json\r\n\r\n".encode())
        assert peer.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"{}")
        assert peer.answer().status == 200

    with Peer(server) as peer:
        peer.send(f"POST /rows HTTP/1.1\r\n{fields}Content-Type: text/plain\r\n\r\n".encode())
        assert peer.answer().status == 415
        assert peer.is_closed()


def test_a_client_that_closes_its_half_still_gets_the_answer(server):
    """All it asked for until then, as `nc` does."""
    with Peer(server) as peer:
        peer.send(get(server, "/slow?s=0.05") + get(server))
        peer.socket.shutdown(socket.SHUT_WR)

        assert peer.answer().json() == {"slow": True}
        assert peer.answer().status == 200
        assert peer.is_closed()


def test_a_client_that_leaves_is_not_worth_a_word(server, caplog):
    """In a head, in a body, while it is worked on, while it is answered: no traceback, no line."""
    upload = request(server.port, "POST", "/upload", body=b"x" * 100_000, content_type=FORM)
    server.store.gate.clear()
    for data in (b"GET /he", upload[:5000], upload, get(server, "/file/102400000"), get(server, "/wait?rows=999"), b""):
        peer = Peer(server)
        peer.send(data)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.socket.close()
    server.store.gate.set()
    until(lambda: not server._connections)
    until(lambda: not os.listdir(server.platform.options.data_dir))

    assert ask(server, "GET", "/hello").status == 200
    assert caplog.text == ""


def test_nothing_is_taken_from_under_a_thread(server):
    """What a thread is still finishing is discarded when it is done, also if the client has left by then."""
    calls, may_end = [], threading.Event()

    class Receiver:
        def feed(self, data):
            calls.append("feed")

        def finish(self):
            calls.append("finish")
            assert may_end.wait(LIMIT_S)
            calls.append("finished")

        def discard(self):
            calls.append("discard")

    server.platform.receiver = Receiver()
    with Peer(server) as peer:
        peer.send(request(server.port, "POST", "/held", body=b"x", content_type=FORM))
        until(lambda: "finish" in calls)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: not server._connections)
    may_end.set()
    until(lambda: "discard" in calls)

    assert calls == ["feed", "finish", "finished", "discard"]


# Deadlines. The clock is handed in, and jumps.


def started(server, data):
    """A peer whose bytes have reached the server."""
    peer = Peer(server)
    before = max((c.heard_at for c in server._connections), default=0)
    if data:
        peer.send(data)
        until(lambda: any(c.heard_at > before for c in server._connections))
    else:
        until(lambda: server._connections)
    return peer


@pytest.mark.parametrize(
    "data, limit_s, answered",
    [
        (b"", 5, False),
        (b"GET /hello HT", 5, True),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX:", 5, True),
        (
            b"POST /rows HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[",
            10,
            True,
        ),
        (
            b"POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data\r\nContent-Length: 9\r\n\r\n[",
            10,
            True,
        ),
    ],
)
def test_what_does_not_come_in_time_is_not_waited_for(server, clock, data, limit_s, answered):
    """A head within 5 s of connecting, a body within 10: 408 if anything came, and the connection ends."""
    until(lambda: not server._connections)
    with started(server, data.replace(b"{host}", b"127.0.0.1:%d" % server.port)) as peer:
        clock.ahead_s += limit_s - 4  # The clock runs on: so much time a slow machine has for the next lines.
        peer.socket.settimeout(0.4)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.socket.settimeout(LIMIT_S)
        clock.ahead_s += 4.1

        if answered:
            assert peer.answer().status == 408
        assert peer.is_closed()


def test_dripping_does_not_extend_a_head(server, clock):
    """One byte a second buys no time (slow loris), on a new connection and on a kept one."""
    for first in (b"", get(server)):
        until(lambda: not server._connections)
        with started(server, first or b"G") as peer:
            if first:
                assert peer.answer().status == 200
                peer.send(b"G")
                until(lambda: any(c._reader.started and c.state == 0 for c in server._connections))
            for byte in b"ET /hello HTTP/1.1":
                clock.ahead_s += 0.3
                peer.send(bytes((byte,)))

            assert peer.answer().status == 408
            assert peer.is_closed()


def test_an_idle_connection_is_closed_without_a_word(server, clock):
    """After a minute: nobody asked, nobody is answered."""
    until(lambda: not server._connections)
    with started(server, get(server)) as peer:
        assert peer.answer().status == 200
        until(lambda: all(c.is_idle for c in server._connections))
        clock.ahead_s += 61

        assert peer.socket.recv(1) == b"" or peer.is_closed()


def test_an_upload_has_time_for_as_long_as_it_gets_on(server, clock):
    """At 64 KiB a second it may take hours; a tenth of that, and it is cut off."""
    fields = f"Host: 127.0.0.1:{server.port}\r\nContent-Type: {FORM}\r\nContent-Length: 2000000"
    head = f"POST /upload HTTP/1.1\r\n{fields}\r\n\r\n"

    def has(connection, size_bytes):
        return connection._reception is None or connection._reception.body_bytes == size_bytes

    def drip(piece_bytes, seconds):
        """So many bytes a second; the answer."""
        until(lambda: not server._connections)
        with Peer(server) as peer:
            peer.send(head.encode())
            until(lambda: any(c._reception for c in server._connections))
            (connection,) = server._connections
            for second in range(seconds):
                peer.send(b"x" * piece_bytes)
                until(partial(has, connection, (second + 1) * piece_bytes))
                clock.ahead_s += 1
            return peer.answer().status

    assert drip(100_000, 20) == 200
    assert drip(2_000, 12) == 408


def test_a_reader_that_does_not_read_is_dropped(server, clock):
    """Half a minute without taking a byte, in the middle of a file or of the last answer."""
    for target, headers in (("/file/102400000", {}), ("/big/30000000", {"connection": "close"})):
        until(lambda: not server._connections)
        with Peer(server, receive_bytes=4096) as peer:
            peer.send(get(server, target, **headers))
            until(lambda: any(c._is_paused for c in server._connections))

            def half_a_minute_later():
                clock.ahead_s += 31
                return not server._connections

            until(half_a_minute_later)
            assert peer.is_closed()
            assert len(peer._surplus) < 30_000_000


# Large things.


def test_a_file_is_sent_as_it_is_read(server):
    """60 MB over a slow reader: all of it, in order; the server never holds more than a buffer of it."""
    size_bytes = 256 * 250_000
    with Peer(server, receive_bytes=65536) as peer:
        peer.send(get(server, f"/file/{size_bytes}"))
        until(lambda: any(c._is_paused for c in server._connections))
        assert max(c._transport.get_write_buffer_size() for c in server._connections) <= 512 * 1024

        assert peer.answer().body == count_for(size_bytes).read_bytes()
        assert ask(server, "HEAD", f"/file/{size_bytes}").headers.get("Content-Length") == str(size_bytes)


def test_a_file_that_shrank_is_not_passed_off_as_whole(server, tmp_path, monkeypatch, caplog):
    """The connection breaks off: a length was promised."""
    path = tmp_path / "short"
    path.write_bytes(b"short")
    monkeypatch.setattr(served, "count_for", lambda size_bytes: path)
    data = b""
    with Peer(server) as peer, contextlib.suppress(ConnectionError):
        peer.send(get(server, "/file/512"))
        while piece := peer.socket.recv(65536):
            data += piece

    assert data.partition(b"\r\n\r\n")[2] in (b"", b"short")
    assert "shorter than it was" in caplog.text


def test_uploads_do_not_grow_memory(server):
    """Chunked or with a length, several at once: what was sent is what is counted."""
    body = b"x" * 8_000_000
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:5_000_000], body[5_000_000:])) + b"0\r\n\r\n"
    fields = f"Host: 127.0.0.1:{server.port}\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked"
    head = f"POST /upload HTTP/1.1\r\n{fields}\r\n\r\n"
    with Peer(server) as peer:
        peer.send(head.encode() + chunked)

        assert peer.answer().json()["size_bytes"] == 8_000_000
        assert peer.ask("POST", "/upload", body=body, content_type=FORM).json()["size_bytes"] == 8_000_000


# Waiting.


def test_a_long_poll_is_answered_when_it_happens(server):
    """After the commit, not after a pause; and at its time limit with what there is."""
    with Peer(server) as peer:
        count = len(server.store.rows)
        peer.send(get(server, f"/wait?rows={count + 2}"))
        until(lambda: server._held)
        server.store.add("one")
        server.store.add("two")

        assert peer.answer().json() == {"rows": count + 2}
        assert peer.ask("GET", f"/wait?rows={count}").json() == {"rows": count + 2}
        assert peer.ask("GET", f"/wait?rows={count + 9}&timeout=0.01").json() == {"rows": count + 2}


def test_a_long_poll_of_a_client_that_left_holds_no_place(server):
    """Whoever ends his side is answered at once with what there is, also if he did so before it was his turn."""
    for before in (b"", get(server, "/slow?s=0.05")):
        with Peer(server) as peer:
            peer.send(before + get(server, f"/wait?rows={len(server.store.rows) + 1}"))
            until(lambda: any(c.state == WORKING for c in server._connections))
            peer.socket.shutdown(socket.SHUT_WR)

            answers = [peer.answer().json() for _ in range(2 if before else 1)]
            assert answers[-1] == {"rows": len(server.store.rows)}
            assert peer.is_closed()
    until(lambda: not server._held)


def test_a_long_poll_that_cannot_be_held_is_answered_at_once(server, monkeypatch):
    """As by a server that holds nobody: the client asks again. It is not refused, and takes no stream's place."""
    monkeypatch.setattr(serve, "POLL_LIMIT", 2)
    count = len(server.store.rows)
    with Peer(server) as one, Peer(server) as two:
        for peer in (one, two):
            peer.send(get(server, f"/wait?rows={count + 1}"))
        until(lambda: len(server._held) == 2)

        assert ask(server, "GET", f"/wait?rows={count + 1}").json() == {"rows": count}
        with Peer(server) as listener:
            listener.send(get(server, f"/events?after={count}"))
            until(lambda: len(server._held) == 3)
        server.store.add("news")
        assert [peer.answer().json() for peer in (one, two)] == [{"rows": count + 1}] * 2
    until(lambda: not server._held)


def test_faults_on_purpose_cut_where_they_should(server):
    """Before the head, in the body; or the body comes one byte after the other."""
    with Peer(server) as peer:
        assert [peer.ask("GET", "/drip").body for _ in range(2)] == [b"abc"] * 2
    with Peer(server) as peer:
        peer.send(get(server, "/cut?at=0"))
        assert peer.is_closed() and peer._surplus == b""
    with Peer(server) as peer:
        peer.send(get(server, "/cut?at=4"))
        assert peer.is_closed() and peer._surplus.endswith(b"Content-Length: 10\r\n\r\n0123")


def test_a_write_is_answered_after_the_commit(server):
    """As long as the store has not said so, nobody is told that it is kept; reads go on meanwhile."""
    server.store.gate.clear()
    with Peer(server) as writer, Peer(server) as reader:
        writer.send(request(server.port, "POST", "/rows", body={"a": 1}))
        assert reader.ask("GET", "/hello").status == 200
        writer.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            writer.socket.recv(1)
        server.store.gate.set()
        writer.socket.settimeout(LIMIT_S)

        assert writer.answer().status == 200


def test_a_write_may_be_answered_later(server):
    """Once what it waits for has happened; meanwhile it takes no turn of those that write."""
    count = len(server.store.rows)
    peers = [Peer(server) for _ in range(server.busy_limit + 2)]
    for number, peer in enumerate(peers, 1):
        peer.send(request(server.port, "POST", f"/rows/later?rows={count + len(peers) + 1}", body={"n": number}))
        until(lambda number=number: len(server.store.rows) == count + number)
    until(lambda: len(server._held) == len(peers))

    assert not server._busy
    assert ask(server, "POST", "/rows", body={"a": 1}).status == 200
    assert [peer.answer().json() for peer in peers] == [{"rows": count + len(peers) + 1}] * len(peers)
    for peer in peers:
        peer.socket.close()
    until(lambda: not server._held)


# How many.


# The clock of the server runs on while a slow machine makes connections.
NO_HURRY_S = 60.0


@pytest.fixture
def no_hurry(monkeypatch):
    """Whoever waits for a turn has a minute."""
    monkeypatch.setattr(connection, "TURN_S", NO_HURRY_S)
    monkeypatch.setattr(serve, "NEWCOMER_S", NO_HURRY_S)


@contextlib.contextmanager
def writers(server, count):
    """So many requests at once, at a store that has stopped; it goes on when the test has opened the gate."""
    server.store.gate.clear()
    peers = [Peer(server) for _ in range(count)]
    try:
        for peer in peers:
            peer.send(request(server.port, "POST", "/rows", body={"a": 1}))
        yield peers
    finally:
        server.store.gate.set()
        for peer in peers:
            peer.socket.close()
        until(lambda: not server._busy)


def test_more_than_64_requests_at_once_wait_for_their_turn(server, no_hurry):
    """64 are worked on; what comes meanwhile is neither refused nor forgotten."""
    with writers(server, 200) as peers:
        until(lambda: len(server._queue) == 136)
        assert len(server._busy) == 64
        assert ask(server, "GET", "/hello").status == 200  # Reads are not kept waiting by writes.
        server.store.gate.set()

        assert [peer.answer().status for peer in peers] == [200] * 200


def test_whoever_has_no_turn_in_time_is_told_to_come_back(server, clock, no_hurry):
    """503 with Retry-After when that time is over, and nothing was done; the 64 are answered."""
    rows_before = len(server.store.rows)
    with writers(server, 70) as peers:
        until(lambda: len(server._queue) == 6)
        clock.ahead_s += NO_HURRY_S + 0.1
        until(lambda: not server._queue)
        server.store.gate.set()
        answers = [peer.answer() for peer in peers]

    assert sorted(answer.status for answer in answers) == [200] * 64 + [503] * 6
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 503} == {"1"}
    assert len(server.store.rows) == rows_before + 64
    assert ask(server, "GET", "/hello").status == 200


def test_a_queue_that_is_full_takes_nobody_more(server, monkeypatch, no_hurry):
    """503 at once."""
    monkeypatch.setattr(serve, "QUEUE_LIMIT", 3)
    with writers(server, 67):
        until(lambda: len(server._queue) == 3)

        assert ask(server, "POST", "/rows", body={"a": 1}).status == 503
        assert len(server._queue) == 3


def test_whoever_leaves_the_queue_is_forgotten(server, caplog, no_hurry):
    """His request is never begun."""
    rows_before = len(server.store.rows)
    with writers(server, 70) as peers:
        until(lambda: len(server._queue) == 6)
        gone = list(server._queue)[-1]
        (last,) = [peer for peer in peers if peer.socket.getsockname() == gone._transport.get_extra_info("peername")]
        last.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        last.socket.close()
        until(lambda: len(server._queue) == 5)
        server._wake(gone.begin)  # As if it had left when its turn had just been called.
        server.store.gate.set()
        assert [peer.answer().status for peer in peers if peer is not last] == [200] * 69

    assert len(server.store.rows) == rows_before + 69
    assert caplog.text == ""


def test_200_that_connect_at_once_may_take_a_moment_to_ask(server, monkeypatch):
    """None of them is cut off while its request is on the way: it would not know whether it was done."""
    until(lambda: not server._connections)
    monkeypatch.setattr(serve, "NEWCOMER_S", NO_HURRY_S)
    ticks, tick = [], server._tick

    def _tick():
        tick()
        ticks.append(len(server._connections))

    monkeypatch.setattr(server, "_tick", _tick)
    peers = [Peer(server) for _ in range(200)]
    until(lambda: 200 in ticks)
    for peer in peers:
        peer.send(request(server.port, "POST", "/rows", body={"a": 1}))
    statuses = [peer.answer().status for peer in peers]
    for peer in peers:
        peer.socket.close()

    assert statuses == [200] * 200


def test_bodies_do_not_take_all_memory(server, monkeypatch):
    """When those on their way are too many together, the next piece is refused, and nothing was done."""
    monkeypatch.setattr(serve, "MEMORY_BYTES", 5_000_000)
    whole = request(server.port, "POST", "/rows", body="x" * 3_000_000)
    with Peer(server) as first, Peer(server) as second:
        first.send(whole[:-1])
        until(lambda: sum(map(Connection.memory_bytes, server._connections)) > 2_999_000)
        second.send(whole)
        assert second.answer().status == 503
        first.send(whole[-1:])

        assert first.answer().status == 200
    assert ask(server, "POST", "/rows", body="x" * 3_000_000).status == 200


# The end.


def test_what_is_under_way_is_finished_and_nothing_new_begins(tmp_path):
    """Idle connections close at once, a running request is answered, streams and long polls end, the port is free."""
    with serving(tmp_path, grace_s=LIMIT_S) as server:
        idle, busy, waiting = Peer(server), Peer(server), Peer(server)
        idle.ask("GET", "/hello")
        server.store.gate.clear()
        busy.send(request(server.port, "POST", "/rows", body={"a": 1}))
        waiting.send(get(server, "/wait?rows=99"))
        until(lambda: server._held and server._busy)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert idle.is_closed()
        assert waiting.answer().json() == {"rows": 0}
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", server.port)) != 0
        server.store.gate.set()

        answer = busy.answer()
        assert (answer.status, answer.headers.get("Connection")) == (200, "close")
        stopping.join(LIMIT_S)
        assert not stopping.is_alive()
        for peer in (idle, busy, waiting):
            peer.socket.close()


def test_the_end_does_not_wait_for_ever(tmp_path):
    """After the grace, whatever still hangs is cut."""
    with serving(tmp_path, grace_s=0.1) as server:
        server.store.gate.clear()
        with Peer(server) as peer:
            peer.send(request(server.port, "POST", "/rows", body={"a": 1}))
            until(lambda: server._busy)
            server.stop()

            assert peer.is_closed()
        server.store.gate.set()


def test_a_server_may_be_stopped_before_it_runs(tmp_path):
    """And while it is starting, and more than once."""
    with serving(tmp_path) as server:
        server.stop()
        server.stop()
    with serving(tmp_path) as other:
        unstarted = Server(other.platform, served=[])
        unstarted.listen()
        unstarted.stop()
        unstarted.run()

        starting = Server(other.platform, served=[])
        subscribe = other.store.subscribe
        other.store.subscribe = lambda callback: starting.stop() or subscribe(callback)
        starting.listen()
        starting.run()


# The port.


def test_a_taken_port_names_its_holder_and_the_next_is_used(tmp_path):
    """Who has it, by name and number, where the system says so."""
    told = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with ports.open_port("127.0.0.1", port, told.append) as listener:
            assert port < listener.getsockname()[1] < port + ports.TRIES

    assert told[0].startswith(f"port {port} is taken by ")
    if os.path.exists("/proc/net/tcp"):
        assert f"(pid {os.getpid()})" in told[0]


def test_a_port_that_cannot_be_had_is_a_clear_error():
    """An address of another machine, a name, a number too large."""
    for host, port in (("192.0.2.1", 0), ("no such host", 0), ("127.0.0.1", 70000)):
        with pytest.raises(ConfigurationError, match="no port to listen on"):
            ports.open_port(host, port, lambda text: None)


def test_the_other_loopback_is_served_too(tmp_path):
    """--host ::1, where the machine has it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with serving(tmp_path, host="::1") as server:
        assert server.platform.url == f"http://[::1]:{server.port}"
        with socket.create_connection(("::1", server.port)) as connected:
            connected.sendall(request(server.port, "GET", "/hello", host=f"[::1]:{server.port}", authorization=API_KEY))
            assert connected.recv(65536).startswith(b"HTTP/1.1 200")

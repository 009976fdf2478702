"""What nobody sends by accident: refused, without a word in the log, while everybody else is served."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest

from devserver.served import SECRET, Clock, Peer, ask, request, serving, until
from seekapi._devserver import serve

SEED = 20261122
HOST = "Host: 127.0.0.1:{port}\r\n"
JSON = "Content-Type: application/json\r\n"
POST = "POST /rows HTTP/1.1\r\n" + HOST + JSON


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def server(tmp_path_factory, clock):
    with serving(tmp_path_factory.mktemp("abuse"), clock=clock) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog, server):
    """Whatever comes in, no line and no traceback comes of it."""
    server.store.rows.clear()
    yield
    assert caplog.text == ""


@pytest.mark.parametrize(
    "text, status",
    [
        # Two opinions about where a message ends.
        (POST + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}", 400),
        (POST + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ", 400),
        (POST + "Content-Length: 2, 2\r\n\r\n{{}}", 400),
        (POST + "Content-Length: +2\r\n\r\n{{}}", 400),
        (POST + "Content-Length: -1\r\n\r\n", 400),
        (POST + "Content-Length: 0x2\r\n\r\n{{}}", 400),
        (POST + "Content-Length: 2 2\r\n\r\n{{}}", 400),
        (POST + "Content-Length:\r\n\r\n", 400),
        (POST + "Content-Length: 00000000002\r\n\r\n{{}}", 400),
        (POST + "Content-Length: 99999999999\r\n\r\n", 400),
        (POST + "Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501),
        (POST + "Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400),
        (POST + "Transfer-Encoding: chunked\r\n\r\n2 \r\n{{}}\r\n0\r\n\r\n", 400),
        (POST + "Transfer-Encoding: chunked\r\n\r\n1\r\n{{}}\r\n0\r\n\r\n", 400),
        (POST + "Transfer-Encoding: chunked\r\n\r\n2\n{{}}\n0\n\n" + " " * 1100, 400),
        ("POST /rows HTTP/1.0\r\n" + HOST + JSON + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        # Lines that are not.
        ("GET /hello HTTP/1.1\n" + HOST + "\r\n", 400),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A : b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: b\r\n c\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\n" + HOST + ": b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: b\rC: d\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: \0\r\n\r\n", 400),
        ("GET  /hello HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET /hello\r\n\r\n", 400),
        ("GET /he llo HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET /h\u00e9 HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET /hello HTTP/2.0\r\n" + HOST + "\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("G@T /hello HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        # More than anybody needs.
        ("GET /" + "a" * 9000 + " HTTP/1.1\r\n" + HOST + "\r\n", 414),
        ("GET /" + "a" * 9000, 414),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: b\r\n" * 100 + "\r\n", 431),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: " + "b" * 33_000 + "\r\n\r\n", 431),
        ("GET /hello HTTP/1.1\r\n" + HOST + "A: " + "b" * 33_000, 431),
        ("GET /hello HTTP/1.1\r\n" + HOST + ("A: " + "b" * 1000 + "\r\n") * 40, 431),
        (POST + "Transfer-Encoding: chunked\r\n\r\n1;" + "a" * 2000, 400),
        (POST + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_ends(server, text, status):
    """A 4xx (501, 505), then the end: what comes behind is never read as a request."""
    smuggled = request(server.port, "POST", "/rows", body={"smuggled": 1})
    with Peer(server) as peer:
        peer.send(text.replace("{{}}", "{}").replace("{port}", str(server.port)).encode("latin-1"))
        seen = peer.answer()
        with contextlib.suppress(OSError):
            peer.send(smuggled)

        assert seen.status == status
        assert seen.headers.get("Connection") == "close"
        assert set(seen.json()) == {"message"}
        assert peer.is_closed()
        assert peer._surplus == b""
    assert server.store.rows == []


@pytest.mark.parametrize(
    "head, limit_bytes",
    [
        (POST + "Content-Length: 10485761\r\n\r\n", 0),
        (POST + "Content-Length: 9999999999\r\n\r\n", 0),
        (POST + "Transfer-Encoding: chunked\r\n\r\n", 10 * 1024 * 1024),
        (
            "POST /small-upload HTTP/1.1\r\n"
            + HOST
            + "Content-Type: multipart/form-data\r\nContent-Length: 1001\r\n\r\n",
            0,
        ),
        (
            "POST /small-upload HTTP/1.1\r\n"
            + HOST
            + "Content-Type: multipart/form-data\r\nTransfer-Encoding: chunked\r\n\r\n",
            1000,
        ),
        ("POST /act HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n", 65536),
        ("GET /hello HTTP/1.1\r\n" + HOST + "Content-Length: 65537\r\n\r\n", 0),
    ],
)
def test_a_body_is_counted_whatever_was_announced(server, head, limit_bytes):
    """Refused by its length before a byte of it is read; without one, at the first byte too many. Nothing stays."""
    with Peer(server) as peer:
        peer.send(head.format(port=server.port).encode())
        left = limit_bytes + 1 if limit_bytes else 0
        while left:
            size = min(left, 500_000)
            peer.send(b"%x\r\n%b\r\n" % (size, b" " * size))
            left -= size

        assert peer.answer().status == 413
        assert peer.is_closed()
    until(lambda: not list(server.platform.options.data_dir.iterdir()))


def test_as_much_as_is_allowed_is_taken(server):
    """10 MiB of JSON, to the byte."""
    body = b'"' + b"x" * (10 * 1024 * 1024 - 2) + b'"'

    assert ask(server, "POST", "/rows", body=body, content_type="application/json").status == 200


def test_a_refusal_arrives_although_nobody_waited_for_the_body(server):
    """The connection is not reset under the answer: a client that is still sending reads it."""
    for head, pieces in (
        ("POST /nothing HTTP/1.1\r\n" + HOST, 9),
        ("POST /rows HTTP/1.1\r\nHost: evil.example\r\n" + JSON, 9),
        (POST, 200),
    ):
        with Peer(server) as peer:
            peer.send(f"{head}Content-Length: {pieces}00000\r\n\r\n".format(port=server.port).encode())
            for _ in range(pieces):
                peer.send(b"x" * 100_000)

            assert peer.answer().status in (403, 404, 413)
            assert peer.is_closed()


def test_a_refused_request_with_a_short_body_keeps_the_connection(server):
    """It is read and dropped, and is never taken for the next request."""
    body = request(server.port, "POST", "/rows", body={"smuggled": 1})
    with Peer(server) as peer:
        assert peer.ask("POST", "/nothing", body=body).status == 404
        assert peer.ask("GET", "/hello").status == 200
        assert peer.ask("GET", "/hello", body=body, content_length=str(len(body))).status == 200
        assert peer.ask("GET", "/hello").status == 200
    assert server.store.rows == []


def test_somebody_who_goes_on_and_on_is_cut_off(server):
    """After a refusal some megabytes are dropped, not a gigabyte."""
    with Peer(server) as peer:
        peer.send(b"nonsense\r\n\r\n")
        assert peer.answer().status == 400
        with pytest.raises(OSError):
            for _ in range(10_000):
                peer.send(b"x" * 100_000)


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/....//....//etc/passwd",
        "/static/../../secret",
        "/v1/internal/jobs/../../../rows",
        "/v1/internal/jobs/%2e%2e%2f%2e%2e%2frows/push",
        "//etc/passwd",
        "/\\..\\..\\etc\\passwd",
        "/C:/Windows/win.ini",
        "/file/..%2f..%2fetc%2fpasswd%00.png",
    ],
)
def test_no_path_leads_out(server, path):
    """There is no folder behind the paths to list or to leave."""
    seen = ask(server, "GET", path)

    assert seen.status in (400, 401, 404, 405)
    assert b"root:" not in seen.body


def test_hostile_text_is_not_sent_back(server):
    """A refusal quotes nothing of the request."""
    script = "<script>alert(1)</script>"
    for method, target in (("GET", f"/{script}"), ("GET", f"/hello?token={script}"), (script, "/")):
        with Peer(server) as peer:
            peer.send(f"{method} {target} HTTP/1.1\r\n{HOST}X: {script}\r\n\r\n".format(port=server.port).encode())

            seen = peer.answer()
            assert b"script" not in seen.body or seen.headers.get("Content-Type") == "application/json"
            assert seen.headers.get("X-Content-Type-Options") == "nosniff"


# Half-open connections. Counted, not timed: every good request is answered while they are held.

HALVES = {
    "silent": b"",
    "half a line": b"POST /ro",
    "half a head": b"POST /rows HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-A: b\r\n",
    "half a body": b"POST /rows HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\n\r\n[",
    "half an upload": b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: multipart/form-data\r\n"
    b"Content-Length: 900\r\n\r\n--b",
}


@contextlib.contextmanager
def half_open(server, data, count=200):
    """So many connections that send `data` and then wait."""
    peers = []
    try:
        for _ in range(count):
            peers.append(Peer(server))
            with contextlib.suppress(OSError):
                peers[-1].send(data)
        yield peers
    finally:
        for peer in peers:
            peer.socket.close()


@pytest.mark.parametrize("kind", HALVES)
def test_200_half_open_connections_keep_nobody_out(server, clock, kind):
    """While they are held: requests on new connections, on a kept one, and on one that was there before."""
    data = HALVES[kind] % server.port if b"%d" in HALVES[kind] else HALVES[kind]
    evicted_before = server.counts["evicted"]
    with Peer(server) as before:
        assert before.ask("GET", "/hello").status == 200
        with half_open(server, data), Peer(server) as kept:
            statuses = [before.ask("GET", "/hello").status]
            for _ in range(30):
                statuses.append(ask(server, "GET", "/hello").status)
                statuses.append(ask(server, "POST", "/rows", body={"good": 1}).status)
                statuses.append(kept.ask("POST", "/rows", body={"good": 1}).status)

            assert statuses == [200] * 91
            clock.ahead_s += serve.NEWCOMER_S + 0.1
            until(lambda: len(server._connections) <= server.busy_limit + 1)
            assert server.counts["evicted"] - evicted_before > 130
            assert before.ask("GET", "/hello").status == 200
    assert len(server.store.rows) == 60
    until(lambda: not server._connections)
    until(lambda: not list(server.platform.options.data_dir.iterdir()))


def test_half_open_connections_are_dropped_in_time(server, clock):
    """Those that are left after making room have 5 s for a head and 10 for a body."""
    for kind in HALVES:
        data = HALVES[kind] % server.port if b"%d" in HALVES[kind] else HALVES[kind]
        until(lambda: not server._connections)
        with half_open(server, data, count=20) as peers:
            until(lambda: len(server._connections) == 20)
            if data:
                until(lambda: all(c._reader.started for c in server._connections))
            clock.ahead_s += 12

            assert all(peer.is_closed() for peer in peers)
    until(lambda: not server._connections)


def test_a_flood_of_connections_never_takes_all_descriptors(tmp_path, monkeypatch):
    """However fast they come, there are never more sockets than the limit, and a request still gets through."""
    monkeypatch.setattr(serve, "NEWCOMER_S", 3600)
    with serving(tmp_path) as server:
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(700)]
        try:
            assert ask(server, "GET", "/hello").status == 200
            until(lambda: server.counts["connections"] == 701)
            until(lambda: len(server._connections) <= serve.SOCKET_LIMIT)

            assert server.counts["evicted"] >= 700 - serve.SOCKET_LIMIT
        finally:
            for one in sockets:
                one.close()


# Garbage, from a seeded generator.


def exchange(server, data):
    """All that comes back for `data` and the end of the sending side."""
    with Peer(server) as peer:
        try:
            peer.send(data)
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        assert peer.is_closed()
        return peer._surplus


def statuses_of(reply):
    """The status of every answer in `reply`."""
    return [int(line[9:12]) for line in reply.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def test_garbage_gets_a_refusal_or_nothing(server):
    """Random bytes: one 4xx or 5xx and the end, or the end alone where they break off."""
    chance = random.Random(SEED)
    alphabets = (bytes(range(256)), b"GETPOST /:\r\n\t \0HTTP1.", b"\r\n", b"0123456789abcdef\r\n;:")
    for _ in range(250):
        alphabet = chance.choice(alphabets)
        data = bytes(chance.choice(alphabet) for _ in range(chance.randrange(1, 300)))
        found = statuses_of(exchange(server, data))

        assert len(found) <= 1
        assert all(400 <= status < 506 and status != 500 for status in found), data
    assert server.store.rows == []


def test_broken_requests_never_break_the_server(server):
    """Good requests with something changed, doubled, cut or inserted: answered in form, or refused; never a 500."""
    chance = random.Random(SEED + 1)
    good = [
        request(server.port, "GET", "/hello?name=a%20b"),
        request(server.port, "GET", "/rows/a%2Fb/of/c"),
        request(server.port, "POST", "/rows", body={"a": [1, 2, {"b": "c"}]}),
        request(server.port, "POST", "/v1/internal/jobs/1/push", body={"a": 1}, x_internal_secret=SECRET),
        request(server.port, "POST", "/upload", body=b"--b\r\n\r\nx", content_type="multipart/form-data; boundary=b"),
        request(server.port, "GET", "/events?after=0", last_event_id="1"),
        request(server.port, "HEAD", "/file/512"),
    ]
    server.store.rows.append("end")
    for _ in range(350):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(data) + 1)
            kind = chance.randrange(5)
            if kind == 0:
                data[at : at + 1] = bytes((chance.randrange(256),))
            elif kind == 1:
                del data[at : at + chance.randrange(1, 20)]
            elif kind == 2:
                data[at:at] = chance.choice(
                    (b"\r\n", b"\n", b"\0", b" ", b"%", b"/..", b"\xff", b"Content-Length: 5\r\n")
                )
            elif kind == 3:
                data[at:at] = data[at : at + chance.randrange(1, 60)]
            else:
                data += chance.choice(good)
            if not data:
                data += b"x"
        found = statuses_of(exchange(server, bytes(data)))

        assert not [status for status in found if status in (500, 507)], bytes(data)
    assert ask(server, "GET", "/hello").status == 200
    until(lambda: not server._connections)
    assert not server._busy and not server._held

"""The HTTP/1.1 codec against others who speak it: the standard library's server and its client, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from protocol.http1_events import in_chunks

from seekapi._protocol import http1

if TYPE_CHECKING:
    from collections.abc import Iterator

# Only so that a fault fails instead of hanging.
PATIENCE_S = 20.0
BIG = bytes(range(256)) * 4096
PIECES = [b"first", b"x" * 5000, b"", b"last"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in every framing that the standard library's server can do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer = getattr(self, "answer_" + self.path.strip("/"), None)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("X-Echo", self.headers["X-Echo"])
        self.finish_with(body)

    def finish_with(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_length(self) -> None:
        self.send_response(200)
        self.finish_with(BIG)

    def answer_chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in filter(None, PIECES):
            self.wfile.write(b"%X;ext=1\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\nX-Trailer: 1\r\n\r\n")

    def answer_close(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(BIG)

    def answer_empty(self) -> None:
        self.send_response(204)
        self.end_headers()

    def answer_unchanged(self) -> None:
        self.send_response(304)
        self.send_header("Content-Length", "99")
        self.end_headers()

    def answer_hints(self) -> None:
        self.send_response_only(103)
        self.send_header("Link", "</style.css>")
        self.end_headers()
        self.answer_length()

    def log_message(self, format: str, *args: Any) -> None:
        """Not into the tests' output."""


@pytest.fixture(scope="module")
def server_address() -> Iterator[tuple[str, int]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_address[:2]
    server.shutdown()
    thread.join(PATIENCE_S)
    server.server_close()


@pytest.fixture
def connection(server_address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(server_address, timeout=PATIENCE_S) as connection:
        yield connection


def exchange(connection: socket.socket, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    """One request, and (head, body, reader) of its response."""
    fields = [("Host", "localhost"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    length = None if body is None else len(body)
    connection.sendall(http1.encode_request_head(method, path, fields, length) + (body or b""))
    reader = http1.ResponseReader(method)
    head, received = None, bytearray()
    while (event := reader.next_event()) is not http1.END:
        if event is http1.NEED_DATA:
            data = connection.recv(65536)
            reader.feed(data) if data else reader.feed_eof()
        elif isinstance(event, http1.ResponseHead):
            head = event
        else:
            assert isinstance(event, bytes)
            received += event
    return head, bytes(received), reader


def test_many_responses_on_one_connection(connection):
    """Every framing that keeps the connection, in turn, and each leaves it fit for the next."""
    expected = [
        ("GET", "/length", 200, BIG),
        ("GET", "/chunked", 200, b"".join(PIECES)),
        ("HEAD", "/length", 200, b""),
        ("GET", "/empty", 204, b""),
        ("GET", "/unchanged", 304, b""),
        ("GET", "/hints", 200, BIG),
        ("GET", "/length", 200, BIG),
    ]
    for method, path, status, body in expected:
        head, received, reader = exchange(connection, method, path)

        assert (head.status, received) == (status, body), path
        assert reader.reusable and not reader.close_delimited, path


def test_a_body_that_lasts_until_the_connection_ends(connection):
    """It is whole, and the connection is not used again."""
    head, received, reader = exchange(connection, "GET", "/close")

    assert (head.status, received) == (200, BIG)
    assert head.will_close and reader.close_delimited and not reader.reusable


def test_the_server_takes_what_we_write(connection):
    """Headers and body arrive; also when the server first says 100 Continue."""
    for headers in ({}, {"Expect": "100-continue"}):
        head, received, reader = exchange(connection, "POST", "/", BIG, X_Echo="a:b  c;=", **headers)

        assert (head.status, received) == (201, BIG)
        assert head.headers.get("X-Echo") == "a:b  c;="
        assert reader.reusable


def test_an_error_page_is_read(connection):
    """The server's own, which it ends with the connection."""
    head, received, reader = exchange(connection, "GET", "/nowhere")

    assert head.status == 404 and head.headers.get("Server").startswith("BaseHTTP")
    assert b"404" in received and head.will_close and not reader.reusable


class Echo(threading.Thread):
    """A server made of the codec and nothing else: answers each request with what it read."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_S)
        self.heads: list[http1.RequestHead] = []
        self.ended = ""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            try:
                self.ended = self.serve(connection)
            except http1.BadMessage as error:
                self.ended = f"refused {error.status}"
                connection.sendall(http1.encode_response_head(error.status, [("Connection", "close")], 0))

    def serve(self, connection: socket.socket) -> str:
        reader, body = http1.RequestReader(), bytearray()
        while True:
            event = reader.next_event()
            if event is http1.CLOSED:
                return "closed"
            if event is http1.NEED_DATA:
                data = connection.recv(65536)
                reader.feed(data) if data else reader.feed_eof()
            elif isinstance(event, http1.RequestHead):
                self.heads.append(event)
                if event.expects_continue:
                    connection.sendall(http1.encode_response_head(100, []))
            elif isinstance(event, bytes):
                body += event
            else:
                connection.sendall(self.answer_to(self.heads[-1], bytes(body)))
                body.clear()
                if reader.will_close:
                    return "will close"
                reader.start_next()

    def answer_to(self, head: http1.RequestHead, body: bytes) -> bytes:
        fields = [("X-Target", head.target), *([("Connection", "close")] if head.will_close else [])]
        if head.target == "/empty":
            return http1.encode_response_head(204, fields)
        if head.target == "/chunked":
            pieces = [body[i : i + 1000] for i in range(0, len(body), 1000)]
            return in_chunks(200, fields, pieces)
        sent_head = http1.encode_response_head(200, fields, len(body) or 7)
        return sent_head if head.method == "HEAD" else sent_head + (body or b"no body")


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    echo.start()
    yield echo
    echo.join(PATIENCE_S)
    echo.listener.close()
    assert not echo.is_alive()


@pytest.fixture
def client(echo: Echo) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection(*echo.listener.getsockname(), timeout=PATIENCE_S)
    with contextlib.closing(client):
        yield client


def answer(client: http.client.HTTPConnection) -> tuple[int, bytes]:
    response = client.getresponse()
    return response.status, response.read()


def test_the_client_gets_what_we_write(echo, client):
    """All on one connection: length, chunks both ways, no body, HEAD, 100 Continue."""
    client.connect()
    first_socket = client.sock

    client.request("GET", "/a?b=c", headers={"X": "y"})
    assert answer(client) == (200, b"no body")
    client.request("POST", "/length", body=BIG)
    assert answer(client) == (200, BIG)
    client.request("POST", "/chunked", body=BIG)
    assert answer(client) == (200, BIG)
    client.request("PUT", "/chunked", body=iter([b"one", b"", b"two" * 9000]), encode_chunked=True)
    assert answer(client) == (200, b"one" + b"two" * 9000)
    client.request("HEAD", "/length")
    assert answer(client) == (200, b"")
    client.request("GET", "/empty")
    assert answer(client) == (204, b"")
    client.request("POST", "/length", body=b"held back", headers={"Expect": "100-continue"})
    assert answer(client) == (200, b"held back")
    client.request("GET", "/last", headers={"Connection": "close"})
    assert answer(client) == (200, b"no body")

    echo.join(PATIENCE_S)
    assert echo.ended == "will close"
    assert first_socket.fileno() == -1, "one connection served them all, and the client closed it last"
    assert [head.expects_continue for head in echo.heads] == [False] * 6 + [True, False]
    assert echo.heads[0].headers.get("x") == "y"


def test_the_client_goes_away(echo, client):
    """Between two requests that is no fault."""
    client.request("GET", "/")
    assert answer(client) == (200, b"no body")
    client.close()

    echo.join(PATIENCE_S)
    assert echo.ended == "closed"


def test_the_client_is_refused(echo, client):
    """It gets the status, and can read it."""
    client.putrequest("POST", "/")
    client.putheader("Content-Length", "5")
    client.putheader("Transfer-Encoding", "chunked")
    client.endheaders()

    assert answer(client) == (400, b"")
    assert echo.ended == "refused 400"


def test_requests_in_one_packet(echo):
    """Pipelined: each is answered, in order."""
    requests = b"".join(
        http1.encode_request_head("POST", f"/{i}", [("Host", "h"), *([("Connection", "close")] if i == 9 else [])], 1)
        + b"%d" % i
        for i in range(10)
    )
    with socket.create_connection(echo.listener.getsockname(), timeout=PATIENCE_S) as connection:
        connection.sendall(requests)
        received = b""
        while data := connection.recv(65536):
            received += data

    for i in range(10):
        reader = http1.ResponseReader("POST")
        reader.feed(received)
        head = reader.next_event()
        assert isinstance(head, http1.ResponseHead) and head.headers.get("X-Target") == f"/{i}"
        assert reader.next_event() == b"%d" % i and reader.next_event() is http1.END
        received = received[len(received) - reader.surplus_bytes :]
    assert received == b""

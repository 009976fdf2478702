"""A server with routes of its own, and raw sockets to talk to it: what the tests of the server share."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import shutil
import socket
import threading
import time
from pathlib import Path
from tempfile import mkdtemp

from seekapi._devserver.exchange import Answer, Later, Refusal, Route
from seekapi._devserver.job_views import endless as live
from seekapi._devserver.job_views import position_of
from seekapi._devserver.platform import Options, Platform
from seekapi._devserver.serve import Server
from seekapi._protocol.http1 import END, ResponseReader

SECRET = "the-internal-secret"
API_KEY = "0123456789abcdef0123456789abcdef"
# Only against hanging; nothing here is expected to take that long.
LIMIT_S = 60
FOLDER = Path(mkdtemp(prefix="seekapi-test-"))


@atexit.register
def _remove_folder(made_by=os.getpid()):  # noqa: B008  (that of this import is meant)
    if os.getpid() == made_by:  # and not when the first of several forked lanes ends
        shutil.rmtree(FOLDER, ignore_errors=True)


class Clock:
    """A monotonic clock that runs with the real one, and jumps when it is told to."""

    def __init__(self):
        self.ahead_s = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead_s


class Rows:
    """The record, in memory: one writer thread that works through groups and answers after each, as the store does."""

    def __init__(self):
        self.rows = []
        self.gate = threading.Event()
        self.gate.set()
        self._orders = queue.SimpleQueue()
        self._subscribers = []
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def post(self, work, reply):
        self._orders.put((work, reply))

    def subscribe(self, callback):
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def add(self, *rows):
        """What another thread commits."""
        self.post(lambda tx: tx.extend(rows), lambda value, error: None)

    def close(self):
        self._orders.put(None)
        self._writer.join()

    def _write(self):
        while (order := self._orders.get()) is not None:
            assert self.gate.wait(LIMIT_S)
            work, reply = order
            tx = list(self.rows)
            try:
                value, error = work(tx), None
                new, self.rows = tx[len(self.rows) :], tx
                if new:
                    for callback in list(self._subscribers):
                        callback(new)
            except BaseException as raised:
                value, error = None, raised
            reply(value, error)


def hello(platform, request):
    return Answer.json({"hello": request.query.first("name", "world")})


def boom(platform, request):
    raise ValueError(f"a bug, with {SECRET} in it")


def add(platform, request, tx):
    value = request.json()
    if value == "refuse":
        tx.append("never")
        raise Refusal(409, "NO", "not that")
    tx.append(value)
    return Answer.json({"ok": True, "count": len(tx)})


def add_and_wait(platform, request, tx):
    add(platform, request, tx)
    return wait(platform, request)


def crash(platform, request, tx):
    raise ZeroDivisionError("in the store")


def rows(platform, request):
    return Answer.json(platform.store.rows)


def one(platform, request):
    return Answer.json(request.params)


class Spool:
    """A receiver: the body goes into a file, which is there until the request is over."""

    def __init__(self, folder):
        self.path = os.path.join(folder, f".incoming-{os.urandom(16).hex()}")
        self.size_bytes = 0
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)

    def feed(self, data):
        self.size_bytes += len(data)
        self._file.write(data)

    def finish(self):
        self._file.close()
        return self

    def open(self):
        return open(self.path, "rb")

    def discard(self):
        self._file.close()
        os.unlink(self.path)


def spool(platform, request):
    return Spool(platform.options.data_dir)


def upload(platform, request, tx):
    with request.body.open() as file:
        content = file.read(64)
    return Answer.json(
        {"size_bytes": request.body.size_bytes, "start": content.decode("latin-1"), "at": request.body.path}
    )


def count_for(size_bytes):
    """A file of numbers, made once."""
    path = FOLDER / str(size_bytes)
    if not path.exists() or path.stat().st_size != size_bytes:
        path.write_bytes(bytes(range(256)) * (size_bytes // 256))
    return path


def file(platform, request):
    size_bytes = int(request.params["size"])
    return Answer.file(count_for(size_bytes), size_bytes, 'a "file"\n.png', request.query.first("type"), inline=True)


def big(platform, request):
    return Answer(200, b"x" * int(request.params["size"]), "text/plain")


def wait(platform, request):
    wanted = int(request.query.first("rows"))

    def ask(is_last):
        found = len(platform.store.rows)
        return Answer.json({"rows": found}) if found >= wanted or is_last else None

    return Later(ask, float(request.query.first("timeout", "30")))


def events(platform, request):
    def source(position):
        new = platform.store.rows[position : position + 100]
        numbered = [(position + n, "row", json.dumps(row)) for n, row in enumerate(new, 1)]
        return numbered, position + len(new), new[-1:] == ["end"]

    return live(source, position_of(request))


def slow(platform, request):
    answer = Answer.json({"slow": True})
    answer.delay_s = float(request.query.first("s"))
    return answer


def drip(platform, request):
    answer = Answer(200, b"abc", "text/plain")
    answer.drip_s = 0.01
    return answer


def no_receiver(platform, request):
    raise Refusal(404, "JOB_NOT_FOUND", "no such job")


def cut(platform, request):
    answer = Answer(200, b"0123456789", "text/plain")
    answer.cut_after = int(request.query.first("at"))
    return answer


ROUTES = (
    Route("GET", "/", hello),
    Route("GET", "/hello", hello, auth="open"),
    Route("GET", "/boom", boom),
    Route("POST", "/rows", add, writes=True, body="json"),
    Route("GET", "/rows", rows),
    Route("POST", "/rows/later", add_and_wait, writes=True, body="json"),
    Route("DELETE", "/rows/{row}", crash, writes=True),
    Route("GET", "/rows/{row}/of/{kind}", one),
    Route("GET", "/rows/newest", hello),
    Route("POST", "/upload", upload, writes=True, body="file", receiver=spool),
    Route("POST", "/small-upload", upload, writes=True, body="file", receiver=spool, limit_bytes=1000),
    Route("GET", "/file/{size}", file),
    Route("GET", "/big/{size}", big),
    Route("GET", "/wait", wait),
    Route("GET", "/events", events),
    Route("GET", "/slow", slow),
    Route("GET", "/cut", cut),
    Route("GET", "/drip", drip),
    Route("POST", "/held", hello, body="file", receiver=lambda platform, request: platform.receiver),
    Route("POST", "/v1/internal/no-job", upload, writes=True, body="file", receiver=no_receiver),
    Route("POST", "/act", hello),
    Route("GET", "/jobs", hello, auth="jobs", prefixed=True),
    Route("GET", "/key", hello, auth="key"),
    Route("GET", "/signed", hello, auth="signed"),
    Route("POST", "/v1/internal/jobs/{job_id}/push", add, writes=True, body="json", auth="secret"),
    Route("POST", "/v1/internal/jobs/{job_id}/crash", crash, writes=True, body="json", auth="secret"),
)


@contextlib.contextmanager
def serving(folder, *, clock=None, host="127.0.0.1", grace_s=5.0, port=0, **options):
    """A running server; `.store` is its record."""
    store = Rows()
    platform = Platform(
        store,
        Options(data_dir=folder, **options),
        secret=SECRET,
        api_key=API_KEY,
        now=time.time,
        clock=clock or time.monotonic,
    )
    server = Server(
        platform, host=host, port=port, served=ROUTES, clock=platform.clock, tell=lambda text: None, grace_s=grace_s
    )
    server.store = store
    with server:
        yield server
    store.close()


class Peer:
    """A client that sends exactly what it is told, and reads answers with the strict codec."""

    def __init__(self, server, receive_bytes=None):
        self.port = server.port
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(("127.0.0.1", server.port))
        self._surplus = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, method, target, *, body=b"", **headers):
        """A request and its answer."""
        self.send(request(self.port, method, target, body=body, **headers))
        return self.answer(method)

    def answer(self, method="GET"):
        """The next answer: status, headers, body."""
        reader = ResponseReader(method)
        reader.feed(self._surplus)
        head, pieces = None, []
        while (event := reader.next_event()) is not END:
            if isinstance(event, bytes):
                pieces.append(event)
            elif hasattr(event, "status"):
                head = event
            else:
                data = self.socket.recv(65536)
                reader.feed(data) if data else reader.feed_eof()
        self._surplus = bytes(reader._unread[reader._at :])
        return Seen(head.status, head.headers, b"".join(pieces))

    def is_closed(self):
        """Whether nothing more comes: the end, or a reset. Blocks until then."""
        try:
            while data := self.socket.recv(65536):
                self._surplus += data
        except ConnectionError:
            pass
        return True


class Seen:
    """An answer as it was received."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


def request(port, method, target, *, body=b"", host=None, **headers):
    """The bytes of a request; `x_internal_secret=...` gives X-Internal-Secret; None leaves a header out."""
    fields = {"Host": host or f"127.0.0.1:{port}"}
    if isinstance(body, (dict, list, str)):
        body = json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    if body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    fields |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items() if v is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(server, method, target, **more):
    """One request over a connection of its own."""
    with Peer(server) as peer:
        return peer.ask(method, target, **more)


def until(condition):
    """Wait for what another thread brings about."""
    ends_at = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_at, "it never came"
        time.sleep(0.002)

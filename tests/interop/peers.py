"""The peers as processes: started on free loopback ports, ready when they say so, ended by their process id.

Each of our own server scripts tells its ports in one JSON line on stdout, and ends when its stdin does: even a test
run that is killed leaves none behind. nginx is told its ports and is ended by signal.
"""

from __future__ import annotations

import base64
import contextlib
import json
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from faults.server import CERTIFICATES

SERVERS = Path(__file__).parent / "servers"
CERTIFICATE = CERTIFICATES / "good.pem"
AUTHORITY = CERTIFICATES / "authority.pem"
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 5.0

# One process, no daemon: what was started is what is ended. All paths are inside its own folder.
NGINX_CONF = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    client_max_body_size 64m;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    upstream application {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_hide_header X-Client-Port;
        add_header X-Client-Port $remote_port always;
        location / {{ proxy_pass http://application; }}
        location /close {{ keepalive_timeout 0; proxy_pass http://application; }}
    }}
}}
"""


class PeerFailed(Exception):
    """A peer did not come up; the message holds what it wrote."""


@dataclass(frozen=True)
class Peer:
    """A real HTTP server: the same resources behind a plain and a TLS port."""

    name: str
    plain_url: str
    tls_url: str


class ScriptProcess:
    """One of our server scripts; `ready` is the JSON line that it began with."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.log_path = folder / "server.log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        try:
            self.ready = self.read()
        except PeerFailed:
            self.close()
            raise

    def write(self, message: dict[str, Any]) -> None:
        """One JSON line to its stdin."""
        stdin = _there(self._process.stdin)
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()

    def read(self) -> dict[str, Any]:
        """The next JSON line of its stdout. Raises PeerFailed if there is none in time."""
        stdout = _there(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            line = stdout.readline() if selector.select(START_TIMEOUT_S) else b""
        if not line:
            raise PeerFailed(f"{self._process.args!r}: nothing in {START_TIMEOUT_S} s\n{self.log_path.read_text()}")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Close its stdin, which it takes as the end; insist if it does not."""
        with contextlib.suppress(OSError):
            _there(self._process.stdin).close()
        _end(self._process)
        _there(self._process.stdout).close()


class S3Server:
    """S3 as moto serves it; `put` stores an object and presigns a GET for it with boto3."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> S3Server:
        self._process = ScriptProcess([sys.executable, str(SERVERS / "s3_server.py")], self._folder)
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.close()

    def put(self, key: str, body: bytes) -> str:
        """The presigned URL of a new object."""
        self._process.write({"key": key, "body": base64.b64encode(body).decode()})
        return str(self._process.read()["url"])


@contextlib.contextmanager
def start_uvicorn(folder: Path) -> Iterator[Peer]:
    """uvicorn on asyncio and h11."""
    process = ScriptProcess([sys.executable, str(SERVERS / "uvicorn_server.py"), str(CERTIFICATE)], folder)
    try:
        yield _peer("uvicorn", process.ready["plain"], process.ready["tls"])
    finally:
        process.close()


@contextlib.contextmanager
def start_node(folder: Path) -> Iterator[Peer]:
    """The http and https modules of Node."""
    process = ScriptProcess(["node", str(SERVERS / "node_server.js"), str(CERTIFICATE)], folder)
    try:
        yield _peer("node", process.ready["plain"], process.ready["tls"])
    finally:
        process.close()


@contextlib.contextmanager
def start_nginx(folder: Path) -> Iterator[Peer]:
    """nginx as the reverse proxy that it mostly is, with uvicorn behind it."""
    with start_uvicorn(folder) as upstream:
        plain, tls = _free_port(), _free_port()
        upstream_port = upstream.plain_url.rpartition(":")[2]
        conf = NGINX_CONF.format(certificate=CERTIFICATE, upstream=upstream_port, plain=plain, tls=tls)
        (folder / "nginx.conf").write_text(conf, encoding="utf-8")
        nginx = shutil.which("nginx")
        assert nginx
        process = subprocess.Popen(
            [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for_port(plain, process, folder / "error.log")
            yield _peer("nginx", plain, tls)
        finally:
            process.terminate()
            _end(process)


def _peer(name: str, plain: int, tls: int) -> Peer:
    return Peer(name, f"http://127.0.0.1:{plain}", f"https://localhost:{tls}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise PeerFailed(log_path.read_text() if log_path.exists() else f"nothing listens on {port}")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream

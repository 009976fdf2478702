"""uvicorn with the resources that every peer serves. Run by peers.py: `uvicorn_server.py CERTIFICATE`.

GET /length /chunked /gzip /big?bytes=N /close /empty; POST /echo, and any .../push/file, read by werkzeug.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

GREETING = json.dumps({"message": "grüß dich", "n": list(range(200))}).encode()

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """The whole of it."""
    path = scope["path"]
    if path == "/echo":
        return await _answer(scope, send, [await _echo(scope, receive)])
    if path.endswith("/push/file"):
        return await _answer(scope, send, [await _form(scope, receive)])
    if path == "/length":
        return await _answer(scope, send, [GREETING])
    if path == "/close":
        return await _answer(scope, send, [GREETING], [(b"connection", b"close")])
    if path == "/chunked":
        pieces = [GREETING[at : at + 100] for at in range(0, len(GREETING), 100)]
        return await _answer(scope, send, pieces, chunked=True)
    if path == "/gzip":
        return await _answer(scope, send, [gzip.compress(GREETING)], [(b"content-encoding", b"gzip")])
    if path == "/big":
        size = int(parse_qs(scope["query_string"].decode())["bytes"][0])
        return await _answer(scope, send, [b'"', *(b"x" * 65536 for _ in range(size // 65536)), b'"'], chunked=True)
    return await _answer(scope, send, [b""], status=204 if path == "/empty" else 404)


async def _echo(scope: Message, receive: Receive) -> bytes:
    body = await _body(receive)
    sha256 = hashlib.sha256(body).hexdigest()
    seen = {"ok": True, "sha256": sha256, "size": len(body), "method": scope["method"], "headers": _headers(scope)}
    return json.dumps(seen).encode()


async def _form(scope: Message, receive: Receive) -> bytes:
    body = await _body(receive)
    media_type, options = parse_options_header(_headers(scope)["content-type"])
    _, fields, files = FormDataParser().parse(io.BytesIO(body), media_type, len(body), options)
    contents = {name: (file.content_type, file.read()) for name, file in files.items()}
    seen = {
        "ok": True,
        "fields": fields.to_dict(),
        "files": {
            name: {"type": kind, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, (kind, content) in contents.items()
        },
    }
    return json.dumps(seen).encode()


async def _body(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _answer(
    scope: Message,
    send: Send,
    pieces: Iterable[bytes],
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    status: int = 200,
    chunked: bool = False,
) -> None:
    pieces = list(pieces)
    fields = [(b"x-client-port", str(scope["client"][1]).encode()), (b"content-type", b"application/json"), *headers]
    if not chunked and status != 204:
        fields.append((b"content-length", str(sum(map(len, pieces))).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _serve(certificate: str) -> None:
    options: Message = {"http": "h11", "log_level": "warning", "lifespan": "off", "timeout_graceful_shutdown": 1}
    servers = {
        "plain": uvicorn.Server(uvicorn.Config(application, **options)),
        "tls": uvicorn.Server(uvicorn.Config(application, ssl_certfile=certificate, **options)),
    }
    sockets = {name: _listener() for name in servers}

    def end_with_stdin() -> None:
        sys.stdin.read()
        for server in servers.values():
            server.should_exit = True

    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(json.dumps({name: sock.getsockname()[1] for name, sock in sockets.items()}), flush=True)
    await asyncio.gather(*(server.serve(sockets=[sockets[name]]) for name, server in servers.items()))


def _listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    # Connections that come before uvicorn is up wait in the backlog.
    sock.listen(64)
    return sock


asyncio.run(_serve(sys.argv[1]))

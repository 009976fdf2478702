"""What goes wrong in the meaning: statuses, redirects, bodies. One function, one fault."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from time import time

from .server import Exchange, fault
from .wire_faults import MARKER

SIGNATURE = "5ad6c1f0e2b94478a3d0c6e1b7f28d90aa51c3e7fb0246d8913e7c55d2048fba"
ACCESS_KEY = "AKIAQ4X7TESTKEY2LM5N"


# status -------------------------------------------------------------------------------------------------------


def _status(name: str, status: int, *, times: int, process: bool, headers: dict[str, str] | None = None) -> None:
    """A fault that answers with `status`, with or without having done the work."""

    def act(exchange: Exchange) -> None:
        if process:
            exchange.process()
        error = {"code": f"CODE_{status}", "message": f"no: {status}"}
        exchange.respond(status, json.dumps({"ok": False, "error": error}).encode(), (headers or {}).items())

    fault(name=name, times=times)(act)


# A 5xx may well come after the work was done; a 408, a 429 or a 503 says that it was not.
for _code in (500, 502, 504):
    _status(f"http_{_code}_once", _code, times=1, process=True)
for _code in (503, 429, 408):
    _status(f"http_{_code}_once", _code, times=1, process=False)
_status("http_429_retry_after_1s", 429, times=1, process=False, headers={"Retry-After": "1"})
_status("http_429_retry_after_3600", 429, times=10**9, process=False, headers={"Retry-After": "3600"})
_status("http_503_forever", 503, times=10**9, process=False)
_status("http_500_forever_processed", 500, times=10**9, process=True)
_status("http_400", 400, times=10**9, process=False)
_status("http_401", 401, times=10**9, process=False)
_status("http_409", 409, times=10**9, process=False)
_status("http_304", 304, times=10**9, process=False)


@fault(times=1)
def http_429_retry_after_date(exchange: Exchange) -> None:
    """Says when to come back as a date, two seconds ahead (dates have no fractions)."""
    exchange.respond(429, b'{"ok": false}', [("Retry-After", formatdate(time() + 2, usegmt=True))])


JUNK_DELAYS = ("-5", "NaN", "1e309", "soon", "0x10", "")


@fault(times=2)
def http_429_retry_after_junk(exchange: Exchange) -> None:
    """A Retry-After that is no delay at all; another one each time."""
    junk = JUNK_DELAYS[(len(exchange.server.requests) + exchange.server.port) % len(JUNK_DELAYS)]
    exchange.respond(429, b'{"ok": false}', [("Retry-After", junk)])


def _s3_error(name: str, status: int, code: str, message: str) -> None:
    """S3's own way to say no, with all that it quotes of the request."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><SignatureProvided>{SIGNATURE}</SignatureProvided>"
        f"<StringToSign>AWS4-HMAC-SHA256 {MARKER.decode()}</StringToSign><HostId>h/{MARKER.decode()}=</HostId></Error>"
    ).encode()

    def act(exchange: Exchange) -> None:
        exchange.respond(status, body, [("Content-Type", "application/xml"), ("x-amz-request-id", "REQ1")])

    fault(name=name)(act)


_s3_error("http_403_expired_xml", 403, "AccessDenied", "Request has expired")
_s3_error("http_403_sig_xml", 403, "SignatureDoesNotMatch", "The signature we calculated does not match")
_s3_error("http_403_skew_xml", 403, "RequestTimeTooSkewed", "The difference between the request time is too large")
_s3_error("http_404_xml", 404, "NoSuchKey", "The specified key does not exist.")
_s3_error("http_301_no_location", 301, "PermanentRedirect", "Use the bucket's own endpoint")


@fault()
def http_err_echoes_secrets(exchange: Exchange) -> None:
    """A debug page: the error holds the whole request, head and body."""
    echo = exchange.request.head.decode("latin-1") + exchange.body[:4000].decode("utf-8", "replace")
    error = {"code": "DEBUG", "message": f"bad request: {echo}", "echo": echo}
    exchange.respond(400, json.dumps({"ok": False, "error": error}).encode(), [("X-Debug", exchange.request.target)])


@fault()
def http_reason_echoes_secret(exchange: Exchange) -> None:
    """The reason phrase is the server's to choose: it chooses the secret."""
    secret = exchange.request.header("x-internal-secret") or exchange.request.target
    exchange.respond(400, b"{}", reason=f"Bad {secret} {exchange.server.ledger.token}")


@fault()
def http_204(exchange: Exchange) -> None:
    """Done, with nothing to say."""
    exchange.process()
    exchange.send_head(204, [])


@fault()
def http_206_partial(exchange: Exchange) -> None:
    """A part that nobody asked for."""
    _, body = exchange.process()
    exchange.respond(206, body, [("Content-Range", f"bytes 0-{len(body) - 1}/{len(body) * 2}")])


# redirects ----------------------------------------------------------------------------------------------------


def _redirect(name: str, status: int, target: Callable[[Exchange], str]) -> None:
    """A fault that sends the client to `target`; what arrives there is served as if nothing was."""

    def act(exchange: Exchange) -> None:
        if "-moved" not in exchange.request.target:
            exchange.respond(status, b"", [("Location", target(exchange))])
        elif exchange.request.method == "GET" and exchange.endpoint != "input":
            # The trap: a POST that became a GET is told that all is well.
            exchange.respond(200, b'{"ok": true}')
        else:
            exchange.respond(*exchange.process())

    fault(name=name)(act)


def _moved(exchange: Exchange) -> str:
    path, _, query = exchange.request.target.partition("?")
    return f"{path}-moved" + (f"?{query}" if query else "")


for _code in (301, 302, 303, 307, 308):
    _redirect(f"redirect_{_code}_same_host", _code, _moved)
for _code in (301, 302, 307, 308):
    _redirect(f"redirect_{_code}_cross_host", _code, lambda exchange: exchange.server.other + "/landed-moved")
_redirect("redirect_302_other_port", 302, lambda exchange: exchange.server.other + "/landed-moved")
_redirect("redirect_https_to_http", 302, lambda exchange: exchange.server.other + "/landed-moved")
_redirect("redirect_302_file", 302, lambda exchange: f"file:///etc/hostname?{MARKER.decode()}")
_redirect("redirect_302_ftp", 302, lambda exchange: f"ftp://127.0.0.1/input?{MARKER.decode()}")
_redirect("redirect_302_imds", 302, lambda exchange: f"http://169.254.169.254/latest/meta-data/?{MARKER.decode()}")
_redirect("redirect_loop", 302, lambda exchange: exchange.request.target)
_redirect("redirect_crlf_location", 302, lambda exchange: "/input-moved?x=1\rX-Injected: yes\x0b\x00 HTTP/1.1")


# payload ------------------------------------------------------------------------------------------------------


def _body(name: str, make: Callable[[Exchange, bytes], bytes], **headers: str) -> None:
    """A fault that does the work and answers 200 with a body made of the good one."""
    fields = [(key.replace("_", "-"), value) for key, value in headers.items()]

    def act(exchange: Exchange) -> None:
        _, good = exchange.process()
        exchange.respond(200, make(exchange, good), fields)

    fault(name=name)(act)


def _made_once(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """`make`, called by the first of many threads only: it keeps a core busy for a while."""
    lock, kept = threading.Lock(), cache(make)

    def once() -> bytes:
        with lock:
            return kept()

    return once


@_made_once
def _gzip_bomb() -> bytes:
    """600 MiB of spaces as valid gzip: one compressed MiB that stands on its own, 600 times."""
    block = b" " * 1024**2
    crc = 0
    for _ in range(600):
        crc = zlib.crc32(block, crc)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    size = len(block) * 600
    tail = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + piece * 600 + tail + crc.to_bytes(4, "little") + size.to_bytes(4, "little")


@_made_once
def _gzip_swelling() -> bytes:
    """64 MiB of JSON text in 3 MiB: no bomb by its ratio, and too much all the same."""
    block = b",".join(b'{"id": %d, "name": "worker %d"}' % (n, n * n) for n in range(400)) + b","
    return gzip.compress(b"[" + block * (64 * 1024**2 // len(block)) + b"0]", 1)


def _corrupt(good: bytes) -> bytes:
    packed = bytearray(gzip.compress(good))
    packed[-8] ^= 0xFF  # the checksum
    return bytes(packed)


_MARKED = b'{"ok": true, "text": "' + MARKER

_body("gzip_body", lambda _, good: gzip.compress(good), Content_Encoding="gzip")
_body("gzip_corrupt", lambda _, good: _corrupt(good), Content_Encoding="gzip")
_body("gzip_bomb_600mb", lambda *_: _gzip_bomb(), Content_Encoding="gzip")
_body("gzip_swelling_64mb", lambda *_: _gzip_swelling(), Content_Encoding="gzip")
_body("brotli_body", lambda *_: b"\x0b\x02\x80" + MARKER, Content_Encoding="br")
_body("invalid_utf8", lambda *_: _MARKED + b'\xff\xfe"}')
_body("utf8_bom", lambda _, good: b"\xef\xbb\xbf" + good)
_body("utf16_body", lambda _, good: good.decode().encode("utf-16"))
_body("json_nan", lambda *_: b'{"ok": true, "x": NaN, "y": -Infinity}')
_body("json_deep_100k", lambda *_: b'{"ok": true, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
_body("json_huge_int_5k", lambda *_: b'{"ok": true, "x": ' + b"7" * 5_000 + b"}")
_body("json_huge_int_4m", lambda *_: b'{"ok": true, "x": ' + b"7" * 4_000_000 + b"}")
_body("json_dup_keys", lambda *_: b'{"ok": false, "name": "first", "ok": true, "name": "last"}')
_body("json_trailing_junk", lambda _, good: good + b" " + MARKER)
_body("json_lone_surrogate", lambda *_: b'{"ok": true, "text": "\\ud800!"}')
_body("empty_200", lambda *_: b"")
_body("html_200", lambda *_: b"<html><h1>Login " + MARKER + b"</h1></html>", Content_Type="text/html; charset=utf-8")
_body("wrong_content_type", lambda _, good: good, Content_Type="application/octet-stream")


@fault()
def ok_false_200(exchange: Exchange) -> None:
    """A polite no: status 200, nothing done."""
    exchange.respond(200, b'{"ok": false, "error": {"code": "LIMIT", "message": "not today"}}')

"""The instruments are checked before they are trusted: the server, the ledger, the search for leaks, the table."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest

from . import table
from .judge import problems_of
from .leaks import leaks_in
from .ledger import Ledger
from .runner import Observation
from .server import CERTIFICATES, FAULTS, Fault, FaultyServer, wait_until

SECRET, TOKEN = "s3cret/with+signs", "t0ken-of-the-job"


def _ledger() -> Ledger:
    return Ledger(SECRET, TOKEN)


def _push(data: object = 1, *, key: str = "", secret: str = SECRET, token: str = TOKEN, path: str = "push") -> bytes:
    body = json.dumps({"execution_token": token, "data": data, "type": "json"}).encode()
    return _post(f"/v1/internal/jobs/j1/{path}", body, "application/json", key, secret)


def _post(path: str, body: bytes, content_type: str, key: str = "", secret: str = SECRET) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
    lines += [f"X-Internal-Secret: {secret}", *([f"Idempotency-Key: {key}"] if key else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _connect(server: FaultyServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def _answer(sock: socket.socket) -> tuple[int, bytes]:
    """One answer with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)
    return int(head.split()[1]), body


def _ask(server: FaultyServer, request: bytes) -> tuple[int, bytes]:
    with _connect(server) as sock:
        sock.sendall(request)
        return _answer(sock)


def _to_the_end(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def test_a_healthy_server_keeps_the_connection() -> None:
    """Without a fault, requests are answered one after the other on one connection."""
    with FaultyServer(_ledger(), input_body=b"[7]") as server, _connect(server) as sock:
        answers = []
        for _ in range(2):
            sock.sendall(b"GET /input.json?X-Amz-Signature=a HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(_answer(sock))

        assert answers == [(200, b"[7]")] * 2
        assert server.connections == 1
        assert [request.target for request in server.requests] == ["/input.json?X-Amz-Signature=a"] * 2


def test_the_same_key_is_one_effect() -> None:
    """A key that comes again is answered from memory; without a key every call is an effect."""
    ledger = _ledger()
    with FaultyServer(ledger) as server:
        replies = [_ask(server, _push(key=key)) for key in ("k1", "k1", "k2", "", "")]

    assert replies == [(200, b'{"ok": true}')] * 5
    assert ledger.count("push") == 4
    assert ledger.rewritten == []


def test_other_bytes_under_the_same_key_are_noticed() -> None:
    """A client that builds its request anew for a retry is found out; the first result stays."""
    ledger = _ledger()
    with FaultyServer(ledger) as server:
        _ask(server, _push("first", key="k"))
        _ask(server, _push("second", key="k"))

    assert ledger.rewritten == ["push k"]
    assert [effect.detail for effect in ledger.effects] == ["first"]


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (_push(secret="wrong"), 401),
        (_push(token="wrong"), 403),
        (_push(path="elsewhere"), 404),
        (_post("/v1/internal/jobs/../../admin/push", b"{}", "application/json"), 404),
        (_post("/v1/internal/jobs/j1/push", b"{", "application/json"), 400),
        (_post("/v1/internal/jobs/j1/push", b"{}", "text/plain"), 400),
        (_post("/v1/internal/jobs/j1/push/file", b"--B--\r\n", "multipart/form-data; boundary=B"), 400),
        (
            _post(
                "/v1/internal/jobs/j1/charge", b'{"execution_token": "t", "idempotency_key": ""}', "application/json"
            ),
            400,
        ),
    ],
)
def test_the_platform_refuses_what_is_wrong(request_bytes: bytes, status: int) -> None:
    """No effect without the right secret, token, route and form."""
    ledger = _ledger()
    with FaultyServer(ledger) as server:
        assert _ask(server, request_bytes)[0] == status

    assert ledger.effects == []


def test_a_file_is_kept_byte_for_byte() -> None:
    """Three parts in order; the content may hold anything but the boundary."""
    content = bytes(range(256)) + b"\r\n--X\r\n"
    body = (
        b'--B\r\nContent-Disposition: form-data; name="execution_token"\r\n\r\n%s\r\n'
        b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\na b.txt\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n%s\r\n--B--\r\n"
    ) % (TOKEN.encode(), content)
    ledger = _ledger()
    with FaultyServer(ledger) as server:
        status, _ = _ask(server, _post("/v1/internal/jobs/j1/push/file", body, "multipart/form-data; boundary=B"))

    assert status == 200
    assert (ledger.effects[0].detail["name"], ledger.effects[0].detail["size_bytes"]) == ("a b.txt", len(content))


def test_a_fault_hits_its_endpoint_as_often_as_it_says() -> None:
    """Once means once, and only there."""
    with FaultyServer(_ledger(), fault="http_503_once", endpoint="push") as server:
        statuses = [_ask(server, b"GET /i HTTP/1.1\r\n\r\n")[0], *(_ask(server, _push())[0] for _ in range(3))]

    assert statuses == [200, 503, 200, 200]


def test_lost_answers_leave_their_effect() -> None:
    """The work is done before the line goes dead."""
    ledger = _ledger()
    with FaultyServer(ledger, fault="response_lost_once") as server, _connect(server) as sock:
        sock.sendall(_push())
        assert sock.recv(1) == b""

    assert ledger.count("push") == 1


@pytest.mark.parametrize("name", ["rst_on_accept", "rst_mid_headers", "rst_mid_body"])
def test_a_reset_is_a_reset(name: str) -> None:
    """Not a polite end: the client gets ECONNRESET."""
    with FaultyServer(_ledger(), fault=name) as server, pytest.raises(ConnectionError), _connect(server) as sock:
        sock.sendall(_push())
        _to_the_end(sock)


def test_nobody_home() -> None:
    """Refused is refused, and a black hole swallows the SYN."""
    with FaultyServer(_ledger(), fault="refused") as server, pytest.raises(ConnectionRefusedError):
        _connect(server)
    with FaultyServer(_ledger(), fault="connect_blackhole") as server, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", server.port), timeout=0.3)


def test_a_tls_cut_has_no_close_notify_and_a_tls_end_has() -> None:
    """The two ends of a TLS stream are told apart by the client's library."""
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    ends: list[Any] = []
    for name in ("tls_close_delimited_truncation", "close_delimited_ok"):
        with (
            FaultyServer(_ledger(), fault=name, certificate="good") as server,
            context.wrap_socket(_connect(server), server_hostname="localhost", suppress_ragged_eofs=False) as sock,
        ):
            sock.sendall(b"GET /i HTTP/1.1\r\n\r\n")
            try:
                ends.append(_to_the_end(sock)[-2:])
            except ssl.SSLEOFError:
                ends.append("cut")

    assert ends == ["cut", b"{}"]


@pytest.mark.parametrize(
    "certificate, reason",
    [("expired", "expired"), ("not_yet_valid", "not yet valid"), ("wrong_host", "mismatch"), ("self_signed", "self")],
)
def test_each_bad_certificate_is_bad_for_one_reason(certificate: str, reason: str) -> None:
    """The test authority signs the others, so that the one fault is the only one."""
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    with (
        FaultyServer(_ledger(), certificate=certificate) as server,
        _connect(server) as sock,
        pytest.raises(ssl.SSLCertVerificationError) as caught,
    ):
        context.wrap_socket(sock, server_hostname="localhost")

    assert reason in str(caught.value)


def test_closing_ends_every_thread() -> None:
    """A server that is stalling lets go when it closes."""
    server = FaultyServer(_ledger(), fault="stall_headers")
    server.start()
    sock = _connect(server)
    sock.sendall(_push())
    assert wait_until(lambda: bool(server.requests))

    server.close()

    assert not any(thread.is_alive() for thread in server._threads)
    sock.close()


def test_every_fault_has_its_row() -> None:
    """No fault lies idle, no row names one that is not there."""
    played = {row.name if row.fault is None else row.fault for row in table.ROWS} - {""}
    played |= {row.stage["proxy"] for row in table.ROWS if "proxy" in row.stage}

    assert played == set(FAULTS)
    assert len({row.name for row in table.ROWS}) == len(table.ROWS)


class _Hiding(Exception):
    __slots__ = ("slot",)
    slot: bytes


def _raised(how: str) -> BaseException:
    error = _Hiding("clean")
    if how == "argument":
        return _Hiding("clean", [{"deep": SECRET}])
    if how == "attribute":
        error.address = ("x", SECRET)  # type: ignore[attr-defined]
    if how == "slot":
        error.slot = SECRET.encode()
    if how == "cause":
        error.__cause__ = ValueError(SECRET)
    if how == "context":
        error.__context__ = UnicodeDecodeError("utf-8", f"x{SECRET}".encode(), 0, 1, "clean")
    if how == "note":
        error.__notes__ = [SECRET]  # type: ignore[attr-defined]
    if how == "percent-encoded":
        return _Hiding("see /x?s=s3cret%2Fwith%2Bsigns")
    if how == "base64":
        return _Hiding("Basic dXNlcjpzM2NyZXQvd2l0aCtzaWducw==")
    return error


@pytest.mark.parametrize(
    "how", ["argument", "attribute", "slot", "cause", "context", "note", "percent-encoded", "base64"]
)
def test_no_hiding_place_is_overlooked(how: str) -> None:
    """A secret is found wherever an error carries it, in each form in which it travels."""
    assert leaks_in(_raised(how), {"secret": SECRET}, "error")
    assert not leaks_in(_raised("nowhere"), {"secret": SECRET}, "error")


def _seen(**call: Any) -> Observation:
    row = next(row for row in table.ROWS if row.name == "http_400")
    expect = row.expect("push_data")
    assert expect
    error = {
        "type": "InvalidRequestError", "module": "seekapi.errors", "kinds": ["InvalidRequestError", "OSError"],
        "message": "HTTP 400", "status": 400, "code": "CODE_400", "outcome": "rejected",
    }  # fmt: skip
    seen = Observation(row, "push_data", expect, _ledger())
    result = {"leaks": [], "peak_growth_kib": 0, "connects": [], "threads": [], "handler_calls": 0}
    seen.result = {**result, "calls": [{"elapsed_s": 0.1, "error": {**error, **call.pop("error", {})}, **call}]}
    with FaultyServer(_ledger(), fault=Fault("no", "request", lambda exchange: exchange.respond(400, b"{}"))) as server:
        _ask(server, _push(key="k"))
        seen.api = list(server.requests)
    return seen


def test_a_good_observation_has_no_problems() -> None:
    """The judge is content with what the row asks for."""
    assert problems_of(_seen()) == []


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"elapsed_s": 60.0}, "late"),
        ({"error": {"module": "http.client", "type": "BadStatusLine"}}, "not ours"),
        ({"error": {"kinds": ["ApiError"]}}, "is due"),
        ({"error": {"outcome": "unknown"}}, "outcome"),
        ({"error": {"message": "see http://h/x?y"}}, "URL with its query"),
        ({"error": None, "value": {"ok": True}}, "lost"),
    ],
)
def test_the_judge_complains(change: dict[str, Any], complaint: str) -> None:
    """Each law is noticed when it alone is broken."""
    seen = _seen()
    call = seen.result["calls"][0]
    for name, value in change.items():
        call[name] = {**call["error"], **value} if isinstance(value, dict) and name == "error" else value
    if call["error"] is None:
        del call["error"]

    problems = problems_of(seen)

    assert any(complaint in problem for problem in problems), problems

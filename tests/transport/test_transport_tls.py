"""TLS: who is believed, what is resumed, and how an end that nobody signed is told from a real one."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys

import pytest

from seekapi import errors
from seekapi._protocol.messages import FileSegment
from seekapi._transport import tls

from .loopback import API, CERTIFICATES, INPUT, OK, get, post, soon


def raw(script):
    """A script that gets the bare socket, before any TLS."""
    script.is_raw = True
    return script


def test_a_verified_peer_is_talked_to_and_kept(serve, transport):
    """TLS 1.2 or later, ALPN says http/1.1, one handshake for many calls."""
    seen = []

    def script(peer):
        seen.append((peer.sock.version(), peer.sock.selected_alpn_protocol()))
        peer.answer_all()

    server = serve(script, certificate="good")
    server._tls.set_alpn_protocols(["h2", "http/1.1"])

    for _ in range(3):
        assert transport.send(post(server.url), soon(), API).body == b"{}"

    assert server.connections == 1
    assert seen[0][0] in ("TLSv1.2", "TLSv1.3")
    assert seen[0][1] == "http/1.1"


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ("self_signed", "did not verify"),
        ("wrong_host", "did not verify"),
        ("expired", "check the clock"),
        ("not_yet_valid", "check the clock"),
    ],
)
def test_a_peer_that_cannot_be_verified_gets_nothing(serve, transport, certificate, says):
    """One attempt, a typed error, and not a byte of the request."""
    server = serve(lambda peer: peer.answer_all(), certificate=certificate)

    with pytest.raises(errors.TlsError, match=says) as caught:
        transport.send(post(server.url), soon(), API)

    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", False)
    assert (server.connections, server.requests) == (1, [])
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_peer_that_speaks_plain_http_is_a_tls_error(serve, transport):
    """No fallback: the error says that this is not TLS."""

    @raw
    def plain(peer):
        peer.sock.recv(1000)
        peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    server = serve(plain, certificate="good")

    with pytest.raises(errors.TlsError, match="does not seem to speak TLS") as caught:
        transport.send(post(server.url), soon(), API)

    assert (caught.value.outcome, server.connections) == ("not_sent", 1)


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_handshake_that_is_cut_is_tried_again(serve, transport, end):
    """Nothing was sent, so even a call without a key may try again."""

    @raw
    def cut(peer):
        peer.sock.recv(65536)
        peer.reset() if end == "reset" else peer.sock.close()

    server = serve(cut, lambda peer: peer.answer_all(), certificate="good")

    assert transport.send(post(server.url, key=None), soon(), API).body == b"{}"

    assert server.connections == 2


def test_a_handshake_that_stalls_ends_at_the_deadline(serve, transport):
    """Saying nothing is not a way to hold a worker."""
    server = serve(raw(lambda peer: peer.wait_for_the_end()), certificate="good")

    with pytest.raises(errors.TransportTimeout) as caught:
        transport.send(post(server.url), soon(0.4), API)

    assert caught.value.outcome == "not_sent"


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_body_that_only_the_end_delimits_needs_a_signed_end(serve, transport, is_signed):
    """Without a length, whoever cuts the wire could shorten the body to a prefix that parses."""

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n{}")
        if is_signed:
            peer.sock = peer.sock.unwrap()

    server = serve(script, certificate="good")

    if is_signed:
        assert transport.send(get(server.url), soon(), INPUT).body == b"{}"
    else:
        with pytest.raises(errors.TransportError, match="no complete answer"):
            transport.send(get(server.url), soon(), INPUT)


def test_a_second_connection_resumes_the_session(serve, transport):
    """One full handshake per origin."""
    reused = []

    def script(peer):
        reused.append(peer.sock.session_reused)
        peer.read_request()
        peer.send(OK)
        peer.sock = peer.sock.unwrap()

    server = serve(script, certificate="good")

    for _ in range(3):
        transport.send(post(server.url), soon(), API)

    assert reused == [False, True, True]


def test_a_session_ticket_that_comes_late_does_not_retire_a_connection(serve, transport):
    """Under TLS an idle connection may be readable and yet silent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "good.pem")
    context.num_tickets = 8

    def script(peer):
        peer.answer_all()

    server = serve(script, certificate="good")
    server._tls = context

    for _ in range(5):
        transport.send(post(server.url), soon(), API)

    assert server.connections == 1


def test_a_large_file_goes_up_encrypted_and_whole(serve, transport, tmp_path):
    """Under TLS the bytes pass through here; they stay the same."""
    content = os.urandom(3_000_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    server = serve(lambda peer: peer.answer_all(), certificate="good")

    transport.send(post(server.url, b"<", FileSegment(lambda: path.open("rb"), len(content)), b">"), soon(), API)

    assert server.requests[0][1] == b"<" + content + b">"


def test_an_early_refusal_ends_an_encrypted_upload_too(serve, transport):
    """The status is the answer, although the rest of the upload fails."""

    heads = []

    def refuse(peer):
        heads.append(peer.read_head())
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}")
        peer.wait_for_the_end()

    server = serve(refuse, certificate="good")

    with pytest.raises(errors.ApiError, match="HTTP 413"):
        transport.send(post(server.url, bytes(20_000_000)), soon(), API)

    assert len(heads) == 1


def test_the_context_of_the_process_is_made_once_and_follows_the_roots(monkeypatch):
    """Reading the CA bundle costs as much as a request; another bundle is another context."""
    first = tls.shared_context()

    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    second = tls.shared_context()

    assert tls.shared_context() is second
    assert second is not first
    assert (second.verify_mode, second.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(second.get_ca_certs()) == 1


def test_plain_http_never_loads_ssl(serve):
    """TLS is paid for by those who use it; the heavy modules by nobody."""
    server = serve(lambda peer: peer.answer_all())
    program = (
        "import sys, time\n"
        "from seekapi._protocol.messages import Request\n"
        "from seekapi._transport import Policy, Transport\n"
        f"request = Request('POST', {server.url!r}, [], [b'x'])\n"
        "policy = Policy(judge=lambda response: None, response_bytes=100)\n"
        "print(Transport().send(request, time.monotonic() + 20, policy).status)\n"
        "heavy = {'ssl', 'typing', 'threading', 'urllib.parse', 'random', 'email', 'logging', 'encodings.idna'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == ["200", "[]"], done.stderr

"""One request and its response: what goes out, what comes in, and what a broken answer becomes."""

from __future__ import annotations

import io
import os
import socket
import threading
import time

import pytest

from seekapi import errors
from seekapi._protocol.messages import FileSegment, Request
from seekapi._transport import Policy
from seekapi._transport.driver import default_poll
from seekapi._transport.patience import Patience

from .loopback import API, OK, PATIENCE_S, get, judge, post, soon


def answer(response, then=None):
    """A script: read one request, send `response`, then close, or do `then`."""

    def script(peer):
        peer.read_request()
        peer.send(response)
        if then:
            then(peer)

    return script


def test_a_request_arrives_as_it_was_built(serve, transport):
    """Head and body travel unchanged, with the exact length, our own User-Agent and nobody's cookie jar."""
    server = serve(lambda peer: peer.answer_all())

    response = transport.send(post(f"{server.url}/v1/push?x=1", b'{"a":', b" 1}"), soon(), API)

    assert (response.status, response.body) == (200, b"{}")
    [(head, body)] = server.requests
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/push?x=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "X-Internal-Secret: s3cr3t" in lines
    assert "Content-Length: 8" in lines
    assert "Accept-Encoding: identity" in lines
    assert any(line.startswith("User-Agent: seekapi/2.") and " python/3." in line for line in lines)
    assert body == b'{"a": 1}'


def test_a_file_is_streamed_with_its_form_around_it(serve, transport, tmp_path):
    """A file segment is sent from the disk, exactly, between the bytes around it."""
    content = os.urandom(3_000_000)
    path = tmp_path / "report.bin"
    path.write_bytes(content)
    server = serve(lambda peer: peer.answer_all())

    transport.send(post(server.url, b"<", FileSegment(lambda: path.open("rb"), len(content)), b">"), soon(), API)

    assert server.requests[0][1] == b"<" + content + b">"


def test_a_file_without_a_descriptor_is_streamed_too(serve, transport):
    """What has no descriptor is read; only `size_bytes` of it are sent, from where it stands."""
    content = os.urandom(700_000)
    segment = FileSegment(lambda: io.BytesIO(content + b"more"), len(content))
    server = serve(lambda peer: peer.answer_all())

    transport.send(post(server.url, segment), soon(), API)

    assert server.requests[0][1] == content


def test_a_large_body_of_bytes_arrives_whole(serve, transport):
    """Bytes that do not fit into one send are sent in as many as it takes."""
    content = os.urandom(5_000_000)
    server = serve(lambda peer: peer.answer_all())

    transport.send(post(server.url, content, content[:100]), soon(), API)

    assert server.requests[0][1] == content + content[:100]


@pytest.mark.parametrize("has_descriptor", [True, False])
def test_a_file_that_shrinks_is_a_failed_upload(serve, transport, tmp_path, has_descriptor):
    """Fewer bytes than announced are never passed off as the file."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1000)
    server = serve(lambda peer: peer.answer_all())
    segment = FileSegment(lambda: path.open("rb") if has_descriptor else io.BytesIO(b"x" * 1000), 2000)

    with pytest.raises(errors.TransportError, match="became shorter") as caught:
        transport.send(post(server.url, segment), soon(), API)

    assert (caught.value.retryable, server.requests) == (False, [])


def test_a_file_that_has_gone_is_found_before_anything_is_sent(serve, transport, tmp_path):
    """A file that cannot be opened sends nothing, and its path is in no message."""
    server = serve(lambda peer: peer.answer_all())

    with pytest.raises(errors.TransportError, match="no such file") as caught:
        transport.send(post(server.url, FileSegment(lambda: (tmp_path / "gone").open("rb"), 5)), soon(), API)

    assert caught.value.outcome == "not_sent"
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "response",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["length", "chunked", "close-delimited", "interim", "http/1.0"],
)
def test_every_legal_framing_is_read(serve, transport, response):
    """The body is what the framing says, however it is framed."""
    server = serve(answer(response))

    assert transport.send(post(server.url), soon(), API).body == b"{}"


def test_an_answer_in_single_bytes_is_read(serve, transport):
    """Where the network cuts a response makes no difference."""

    def drip(peer):
        peer.read_request()
        for byte in OK:
            peer.send(bytes([byte]))
            time.sleep(0.0005)

    server = serve(drip)

    assert transport.send(post(server.url), soon(), API).body == b"{}"


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", errors.TransportError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", errors.TransportError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", errors.TransportError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", errors.TransportError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", errors.ProtocolError),
        (b"SSH-2.0-OpenSSH_9.6 t0psecret\r\n\r\n", errors.ProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", errors.ProtocolError),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 70_000 + b"\r\n\r\n", errors.ProtocolError),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, errors.ProtocolError),
    ],
    ids=["none", "half a head", "short", "no last chunk", "bad chunk", "not http", "100+ headers", "64 KiB", "100s"],
)
def test_a_broken_answer_is_a_typed_error(serve, transport, response, error):
    """Never a good response from half of one; never a bare OSError; nothing of what was received in the message."""
    server = serve(answer(response))

    with pytest.raises(error) as caught:
        transport.send(post(server.url, key=None), soon(), API)

    assert caught.value.outcome == "unknown"
    assert caught.value.host == f"127.0.0.1:{server.port}"
    assert "t0psecret" not in repr(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 3_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65536 + b"\r\n" * 30,
    ],
    ids=["announced", "close-delimited", "chunked"],
)
def test_a_body_above_the_cap_is_refused_while_it_streams(serve, transport, response):
    """The cap holds whatever the framing; what is announced above it is not even waited for."""
    server = serve(answer(response, then=lambda peer: peer.wait_for_the_end()))
    policy = Policy(judge=judge, response_bytes=65_000)

    with pytest.raises(errors.ProtocolError, match="larger than 65000 bytes"):
        transport.send(post(server.url), soon(), policy)

    assert server.connections == 1


def test_an_early_refusal_ends_an_upload(serve, transport, tmp_path):
    """A 413 in the middle of an upload is the answer, although the connection is then reset."""
    path = tmp_path / "big"
    path.write_bytes(bytes(30_000_000))

    def refuse(peer):
        peer.read_head()
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.1)
        peer.reset()

    server = serve(refuse)

    with pytest.raises(errors.ApiError, match="HTTP 413") as caught:
        transport.send(post(server.url, FileSegment(lambda: path.open("rb"), 30_000_000)), soon(), API)

    assert (caught.value.status, server.connections) == (413, 1)


@pytest.mark.parametrize("certificate", ["", "good"])
def test_a_refusal_is_heard_although_nobody_reads_on(serve, transport, certificate):
    """A peer that answers and then just stops reading: the answer counts, and the connection is of no more use."""
    done = threading.Event()

    def refuse(peer):
        peer.read_head()
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}")
        done.wait(20)

    server = serve(refuse, lambda peer: peer.answer_all(), certificate=certificate)

    with pytest.raises(errors.ApiError, match="HTTP 413"):
        transport.send(post(server.url, bytes(30_000_000)), soon(), API)
    assert transport.send(post(server.url, key=None), soon(), API).body == b"{}"
    done.set()

    assert server.connections == 2


def test_a_yes_before_the_upload_is_complete_does_not_count_as_one(serve, transport):
    """Only a platform that has had the whole body can have accepted it."""

    def hasty(peer):
        peer.read_head()
        peer.send(OK)
        time.sleep(0.1)
        peer.reset()

    server = serve(hasty)

    with pytest.raises(errors.TransportError):
        transport.send(post(server.url, bytes(30_000_000), key=None), soon(), API)


def test_the_deadline_bounds_an_answer_that_drips(serve, make_transport):
    """The deadline is total: a byte now and then does not extend it."""
    ahead_s = 0.0
    waits = threading.Event()

    def poll(interests, timeout_s):
        nonlocal ahead_s
        waits.set()
        ready = default_poll(interests, timeout_s)
        ahead_s += 1.0
        return ready

    def drip(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(100):
            waits.wait(PATIENCE_S)
            waits.clear()
            peer.send(b" ")

    server = serve(drip)
    transport = make_transport(clock=lambda: time.monotonic() + ahead_s, poll=poll)

    with pytest.raises(errors.TransportTimeout) as caught:
        transport.send(post(server.url), soon(), API)

    assert (caught.value.outcome, server.connections) == ("unknown", 1)


def test_a_peer_that_has_ended_its_side_is_not_asked_for_ever(serve, make_transport):
    """Half closed, it may still read: what is left to do is wait until it does, not spin."""
    polls = []

    def counting(interests, timeout_s):
        polls.append(timeout_s)
        return default_poll(interests, timeout_s)

    def half_closed(peer):
        peer.read_head()
        peer.sock.shutdown(socket.SHUT_WR)
        time.sleep(0.3)

    server = serve(half_closed)

    with pytest.raises(errors.TransportError):
        make_transport(poll=counting).send(post(server.url, bytes(30_000_000), key=None), soon(), API)

    assert len(polls) < 2000


def test_the_deadline_bounds_a_peer_that_does_not_read(serve, transport):
    """A send that blocks for ever ends at the deadline."""
    done = threading.Event()
    server = serve(lambda peer: done.wait(20))

    with pytest.raises(errors.TransportTimeout):
        transport.send(post(server.url, bytes(30_000_000)), soon(0.4), API)
    done.set()


def test_no_time_left_starts_no_request(make_transport):
    """Zero left means fail at once: not even the name is looked up."""
    asked = []
    transport = make_transport(resolve=lambda name, port: asked.append(name))

    with pytest.raises(errors.TransportTimeout) as caught:
        transport.send(post("http://host.example/"), soon(0), API)

    assert (caught.value.outcome, asked) == ("not_sent", [])


def test_a_head_request_has_no_body(serve, transport):
    """What a response to HEAD announces is not waited for."""
    server = serve(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"))

    assert transport.send(Request("HEAD", server.url), soon(), API).body == b""


def test_no_error_holds_the_frames_of_the_transport(serve, transport):
    """The frames below hold header values and signed URLs; error reporters read frames."""
    server = serve(answer(b""))

    with pytest.raises(errors.TransportError) as caught:
        transport.send(get(f"{server.url}/input?X-Amz-Signature=cafe"), soon(), API)

    inside = [entry for entry in caught.traceback if entry.path.parent.name == "_transport"]
    assert [entry.name for entry in inside] == ["send"]
    assert "cafe" not in str(caught.value)


def test_no_error_brings_another_along(serve, transport):
    """Causes and contexts end here: what was caught on the way may hold what was sent."""

    def judge_in_two_steps(response):
        try:
            raise ValueError("s3cr3t")
        except ValueError as error:
            raise errors.InvalidRequestError("no") from error

    server = serve(lambda peer: peer.answer_all())
    policy = Policy(judge=judge_in_two_steps, response_bytes=100)

    with pytest.raises(errors.InvalidRequestError) as caught:
        transport.send(post(server.url), soon(), policy)

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_after_a_thaw_the_deadline_is_final_and_an_answer_is_taken():
    """A frozen process wakes to find both: past the deadline it is too late, past an attempt's share it is not."""
    now = [0.0]
    patience = Patience(lambda: now[0], 10.0, 4.0, "host")
    waiting = patience.wait(((3, 1),))
    assert next(waiting) == (((3, 1),), 4.0)

    now[0] = 5.0
    with pytest.raises(StopIteration) as answered:
        waiting.send([(3, 1)])
    assert answered.value.value == [(3, 1)]

    silent = patience.wait(((3, 1),))
    next(silent)
    with pytest.raises(errors.TransportTimeout, match="silent"):
        silent.send([])

    late = patience.wait(((3, 1),))
    next(late)
    now[0] = 10.0
    with pytest.raises(errors.TransportTimeout, match="in the time given"):
        late.send([(3, 1)])
    with pytest.raises(errors.TransportTimeout, match="in the time given"):
        patience.moved()


@pytest.mark.parametrize("field", [b"Content-Length: 99999999", b"Content-Length: \xb2", b"Content-Encoding: br"])
def test_what_a_head_without_body_says_of_one_does_not_matter(serve, transport, field):
    """A 204 has none (RFC 9110 15.3.5): the platform has accepted, whatever else it writes."""
    server = serve(answer(b"HTTP/1.1 204 No\r\n" + field + b"\r\n\r\n"))

    assert transport.send(post(server.url, b"{}"), soon(), API).status == 204


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_connection_that_announced_a_body_where_none_may_be_is_dropped(serve, transport, status):
    """It may come after all, and would be read as the next response."""
    head = b"HTTP/1.1 " + status + b" Odd\r\nContent-Length: 4\r\n\r\n"
    server = serve(lambda peer: peer.answer_all(head), lambda peer: peer.answer_all())
    transport.send(post(server.url, b"{}"), soon(), Policy(judge=lambda response: None, response_bytes=100))

    transport.send(post(server.url, b"{}"), soon(), API)

    assert server.connections == 2

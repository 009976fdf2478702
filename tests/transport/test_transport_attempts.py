"""Attempts and redirects: what is sent again, what is not, and what the error says of it."""

from __future__ import annotations

import socket
import threading

import pytest

from seekapi import errors
from seekapi._protocol.messages import FileSegment, Request
from seekapi._transport.driver import default_poll

from .loopback import API, INPUT, OK, get, post


def status(code, headers=b"", body=b"{}"):
    """A script that answers every request so."""
    response = b"HTTP/1.1 %d\r\n%bContent-Length: %d\r\n\r\n%b" % (code, headers, len(body), body)
    return lambda peer: peer.answer_all(response)


def one_answer(response=OK):
    """A script that answers once and hangs up, without saying so beforehand."""

    def script(peer):
        peer.read_request()
        peer.send(response)

    return script


def cut(peer):
    peer.read_request()


class SkippingClock:
    """A clock that jumps over every sleep, so that a test of an hour takes no time."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def poll(self, interests, timeout_s):
        if interests:
            return default_poll(interests, min(timeout_s, 10.0))
        self.now += timeout_s
        if timeout_s:
            self.slept.append(timeout_s)
        return []


@pytest.fixture
def clock():
    return SkippingClock()


@pytest.fixture
def transport(make_transport, clock):
    return make_transport(clock=clock, poll=clock.poll)


def test_a_passing_failure_is_tried_again_with_the_same_bytes(serve, transport, clock, tmp_path):
    """Every attempt carries the same key and the same body, also when that is a file."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    request = post("http://host", b"<", FileSegment(lambda: path.open("rb"), 7))

    def twice_busy(peer):
        for code in (b"503", b"500"):
            peer.read_request()
            peer.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % code)
        peer.answer_all()

    server = serve(twice_busy)
    request.url = server.url

    assert transport.send(request, clock.now + 8, API).status == 200

    assert len(server.requests) == 3
    assert len(set(server.requests)) == 1
    assert server.requests[0][1] == b"<content"
    assert clock.slept == pytest.approx([0.075, 0.15])


def test_three_attempts_are_all(serve, transport, clock):
    """What fails three times is reported as it failed."""
    server = serve(status(503))

    with pytest.raises(errors.ServerError) as caught:
        transport.send(post(server.url), clock.now + 8, API)

    assert (len(server.requests), caught.value.status, caught.value.idempotency_key) == (3, 503, "key-1")


def test_the_quota_is_shared_by_the_calls_of_a_process(serve, transport, clock):
    """A platform that is down gets three requests from each of the first calls, and later one."""
    server = serve(status(500))

    for _ in range(8):
        with pytest.raises(errors.ServerError):
            transport.send(post(server.url), clock.now + 8, API)

    assert len(server.requests) == 8 + 10


def test_retry_after_is_waited_for_if_it_fits(serve, transport, clock):
    """Two seconds are two seconds; an hour is an error at once that says so."""
    patient = serve(one_answer(b"HTTP/1.1 429\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"), status(200))
    hopeless = serve(status(429, b"Retry-After: 3600\r\n"))

    transport.send(post(patient.url), clock.now + 8, API)
    with pytest.raises(errors.ApiError) as caught:
        transport.send(post(hopeless.url), clock.now + 8, API)

    assert clock.slept == [2.0]
    assert (caught.value.retry_after, len(hopeless.requests)) == (3600, 1)


def test_a_refused_connection_is_tried_again_for_any_request(serve, transport, clock):
    """Nothing was sent, so nothing can happen twice."""
    closed = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()

    with pytest.raises(errors.ConnectError, match="connection refused") as caught:
        transport.send(post(url, key=None), clock.now + 8, API)

    assert (caught.value.outcome, len(clock.slept)) == ("not_sent", 2)


def test_a_lost_answer_is_asked_for_again_only_under_a_key(serve, transport, clock):
    """After the bytes were sent, only a request that may be repeated is."""
    server = serve(cut, cut, status(200))

    with pytest.raises(errors.TransportError) as caught:
        transport.send(post(server.url, key=None), clock.now + 8, API)

    assert (caught.value.outcome, len(server.requests)) == ("unknown", 1)
    assert transport.send(post(server.url), clock.now + 8, API).status == 200


def test_an_outcome_stays_unknown_once_it_is(serve, transport, clock):
    """The last attempt may have been refused cleanly; the first may have got through all the same."""
    server = serve(cut, status(401))

    with pytest.raises(errors.ApiError) as caught:
        transport.send(post(server.url), clock.now + 8, API)

    assert (caught.value.status, caught.value.outcome) == (401, "unknown")


def test_a_silent_connection_leaves_time_for_another(serve, make_transport, clock):
    """An attempt that hears nothing for its share is given up before the deadline."""
    asked = threading.Event()
    server = serve(lambda peer: [peer.read_head(), asked.set(), peer.wait_for_the_end()], status(200))

    def poll(interests, timeout_s):
        """Nothing is heard of the first connection, as long as one waits for it."""
        ready = clock.poll(interests, min(timeout_s, 0.01) if interests else timeout_s)
        if asked.is_set() and interests and not ready:
            asked.clear()
            clock.now += timeout_s
        return ready

    transport = make_transport(clock=clock, poll=poll)

    assert transport.send(post(server.url), clock.now + 8, API).status == 200

    assert server.connections == 2
    assert clock.now == pytest.approx(1004.075)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_call_with_a_secret_follows_no_redirect(serve, transport, clock, code):
    """A redirect is the judge's: the secret goes nowhere else, and no POST becomes a GET."""
    elsewhere = serve(status(200))
    server = serve(status(code, b"Location: " + elsewhere.url.encode() + b"/\r\n"))

    with pytest.raises(errors.ApiError) as caught:
        transport.send(post(server.url), clock.now + 8, API)

    assert (caught.value.status, len(server.requests), elsewhere.connections) == (code, 1, 0)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_input_follows_a_redirect_without_credentials(serve, transport, clock, code):
    """At most three hops, and only what any stranger may see goes along."""
    there = serve(status(200))
    here = serve(status(code, b"Location: " + there.url.encode() + b"/b?c\r\n"))
    request = Request("GET", here.url + "/a", [("Accept", "text/x"), ("Authorization", "Bearer abc"), ("Cookie", "d")])

    transport.send(request, clock.now + 8, INPUT)

    head = there.requests[0][0].decode()
    assert head.startswith("GET /b?c HTTP/1.1")
    assert "Accept: text/x" in head
    assert "Bearer" not in head
    assert "Cookie" not in head


def test_a_relative_redirect_stays_on_the_connection(serve, transport, clock):
    """A path is resolved against where it came from."""

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 302\r\nLocation: ../x/y?z=1\r\nContent-Length: 0\r\n\r\n")
        peer.answer_all()

    server = serve(script)

    transport.send(get(server.url + "/a/b/c"), clock.now + 8, INPUT)

    assert server.requests[1][0].startswith(b"GET /a/x/y?z=1 ")
    assert server.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        b"file:///etc/passwd",
        b"ftp://127.0.0.1/x",
        b"http://169.254.169.254/latest/meta-data",
        b"http://[::ffff:169.254.169.254]/",
        b"http://user:pw@127.0.0.1/",
        b"http://127.0.0.1:99999/",
        b"http://127.0.0.1/a b",
        b"//169.254.169.254/",
    ],
)
def test_a_redirect_to_where_no_input_may_come_from_is_refused(serve, transport, clock, location):
    """Each hop is checked like the first, and the message does not repeat it."""
    server = serve(status(302, b"Location: " + location + b"\r\n"))

    with pytest.raises(errors.ConnectError) as caught:
        transport.send(get(server.url), clock.now + 8, INPUT)

    assert (caught.value.retryable, len(server.requests)) == (False, 1)
    assert location.decode() not in str(caught.value)


def test_a_redirect_does_not_give_up_tls(serve, transport, clock):
    """From https to http: anyone on the way could answer in the storage's name."""
    plain = serve(status(200))
    server = serve(status(302, b"Location: " + plain.url.encode() + b"/\r\n"), certificate="good")

    with pytest.raises(errors.ConnectError, match="from https to http") as caught:
        transport.send(get(server.url), clock.now + 8, INPUT)

    assert (caught.value.retryable, plain.connections) == (False, 0)


def test_a_redirect_loop_ends(serve, transport, clock):
    """Three hops, then a typed error that is not retried."""
    server = serve(status(302, b"Location: /again\r\n"))

    with pytest.raises(errors.ProtocolError, match="more than 3 redirects"):
        transport.send(get(server.url), clock.now + 8, INPUT)

    assert len(server.requests) == 4


def test_a_redirect_without_a_location_is_the_judges(serve, transport, clock):
    """S3 answers 301 without one when the region is wrong; its body says more than we could."""
    server = serve(status(301))

    with pytest.raises(errors.ApiError, match="HTTP 301"):
        transport.send(get(server.url), clock.now + 8, INPUT)


def test_a_header_that_cannot_travel_is_refused_unseen(serve, transport, clock):
    """No line break gets into a head, and the value into no message."""
    server = serve(status(200))

    with pytest.raises(errors.ArgumentError, match="X-Internal-Secret") as caught:
        transport.send(Request("POST", server.url, [("X-Internal-Secret", "ab\r\nX: y")]), clock.now + 8, API)

    assert "ab" not in str(caught.value)
    assert server.connections == 0

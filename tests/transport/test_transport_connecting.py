"""From a name to a connection: addresses in turn, the guard, and the way through a proxy."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from seekapi import errors
from seekapi._transport import connecting
from seekapi._transport.driver import default_poll

from .loopback import API, INPUT, PATIENCE_S, get, post, soon

V4 = socket.AF_INET


def resolver(*hosts):
    """A resolver that knows these addresses for every name."""
    return lambda name, port: [(socket.AF_INET6 if ":" in host else V4, (host, port)) for host in hosts]


def failing_resolver(number, text="try again"):
    def resolve(name, port):
        raise socket.gaierror(number, text)

    return resolve


@pytest.fixture
def blackhole():
    """`blackhole(port)` makes 127.0.0.77 silent there, and returns the port: the queue is full, no SYN is answered."""
    with contextlib.ExitStack() as stack:

        def fill(port=0):
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.77", port))
            full.listen(0)
            for _ in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            return full.getsockname()[1]

        yield fill


def test_a_name_is_looked_up_and_connected_to(serve, make_transport):
    """The Host header keeps the name; the connection goes to the address."""
    server = serve(lambda peer: peer.answer_all())
    asked = []

    def resolve(name, port):
        asked.append((name, port))
        return [(V4, ("127.0.0.1", port))]

    make_transport(resolve=resolve).send(get(f"http://Storage.Example:{server.port}/"), soon(), INPUT)

    assert asked == [("storage.example", server.port)]
    assert f"Host: storage.example:{server.port}" in server.requests[0][0].decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_addresses_and_localhost_need_no_resolver(serve, make_transport, host):
    """No thread and no lookup where the answer is known; of localhost's two addresses the one that listens."""
    family = socket.AF_INET6 if host == "[::1]" else V4
    server = serve(lambda peer: peer.answer_all(), family=family)

    def resolve(name, port):
        raise AssertionError(name)

    assert make_transport(resolve=resolve).send(post(f"http://{host}:{server.port}"), soon(), API).body == b"{}"


def test_localhost_is_also_found_where_only_ipv6_listens(serve, transport):
    """The second address is tried when the first refuses."""
    server = serve(lambda peer: peer.answer_all(), family=socket.AF_INET6)

    assert transport.send(post(f"http://localhost:{server.port}"), soon(), API).body == b"{}"


def test_the_next_address_does_not_wait_for_a_silent_one(serve, make_transport, blackhole, monkeypatch):
    """An address that does not answer costs a quarter of a second, not three."""
    monkeypatch.setattr(connecting, "STAGGER_S", 0.05)
    monkeypatch.setattr(connecting, "LONGEST_CONNECT_S", PATIENCE_S)
    server = serve(lambda peer: peer.answer_all())
    blackhole(server.port)
    transport = make_transport(resolve=resolver("127.0.0.77", "127.0.0.1"))

    assert transport.send(post(f"http://two.example:{server.port}"), soon(), API).body == b"{}"


def test_connecting_is_given_up_after_its_own_limit(make_transport, blackhole, monkeypatch):
    """Three seconds for all addresses together; what fits into the deadline is tried again."""
    monkeypatch.setattr(connecting, "LONGEST_CONNECT_S", 0.1)
    transport = make_transport(resolve=resolver("127.0.0.77"))

    with pytest.raises(errors.ConnectError, match=r"within 0\.1 s") as caught:
        transport.send(post(f"http://silent.example:{blackhole()}"), soon(), API)

    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)


def test_a_silent_address_is_left_at_the_deadline(make_transport, blackhole):
    """The deadline is total, also while nothing has been sent."""
    transport = make_transport(resolve=resolver("127.0.0.77"))

    with pytest.raises(errors.TransportTimeout) as caught:
        transport.send(post(f"http://silent.example:{blackhole()}"), soon(0.3), API)

    assert caught.value.outcome == "not_sent"


def test_a_name_that_does_not_exist_is_final(make_transport):
    """The message names the host and nothing else of the URL."""
    transport = make_transport(resolve=failing_resolver(socket.EAI_NONAME, "Name or service not known"))

    with pytest.raises(errors.DnsError, match=r"nowhere\.example did not resolve") as caught:
        transport.send(get("http://nowhere.example/a?sig=abc"), soon(), INPUT)

    assert (caught.value.retryable, caught.value.host) == (False, "nowhere.example")
    assert "abc" not in str(caught.value)


def test_a_resolver_that_says_try_again_is_asked_again(serve, make_transport):
    """EAI_AGAIN is a passing trouble."""
    server = serve(lambda peer: peer.answer_all())
    answers = [socket.gaierror(socket.EAI_AGAIN, "try again"), None]

    def resolve(name, port):
        error = answers.pop(0)
        if error:
            raise error
        return [(V4, ("127.0.0.1", port))]

    transport = make_transport(resolve=resolve)

    assert transport.send(post(f"http://moody.example:{server.port}"), soon(), API).body == b"{}"


def test_a_slow_resolver_is_left_at_the_deadline(make_transport):
    """getaddrinfo cannot be stopped, but it need not be waited for."""
    released = threading.Event()

    def resolve(name, port):
        released.wait(20)
        return []

    transport = make_transport(resolve=resolve)

    with pytest.raises(errors.TransportTimeout) as caught:
        transport.send(post("http://slow.example/"), soon(0.3), API)
    released.set()

    assert (caught.value.outcome, caught.value.host) == ("not_sent", "slow.example")


def test_a_slow_lookup_is_not_given_up_for_another(serve, make_transport):
    """Its share of the time may be gone, and the lookup is still the one to wait for: one thread, one answer."""
    server = serve(lambda peer: peer.answer_all())
    asked = []
    looked_again = threading.Event()
    ahead_s = 0.0

    def poll(interests, timeout_s):
        if ahead_s:
            looked_again.set()
        return default_poll(interests, min(timeout_s, 0.01))

    def resolve(name, port):
        nonlocal ahead_s
        asked.append(name)
        ahead_s = 1.2 * PATIENCE_S
        looked_again.wait(PATIENCE_S)
        looked_again.clear()
        looked_again.wait(PATIENCE_S)
        return [(V4, ("127.0.0.1", port))]

    transport = make_transport(resolve=resolve, poll=poll, clock=lambda: time.monotonic() + ahead_s)

    assert transport.send(post(f"http://slow.example:{server.port}/"), soon(2 * PATIENCE_S), API).body == b"{}"
    assert len(asked) == 1


def test_running_out_of_descriptors_is_a_typed_error(make_transport):
    """Whatever the system refuses, the caller gets one of our errors."""
    resource = pytest.importorskip("resource")
    transport = make_transport(resolve=resolver("127.0.0.1"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    caught = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        for url in ("http://127.0.0.1:1/", "http://name.example:1/"):
            try:
                transport.send(post(url), soon(1), API)
            except errors.TransportError as error:
                caught.append(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert [error.outcome for error in caught] == ["not_sent", "not_sent"]
    assert all("too many open files" in str(error) for error in caught)


@pytest.mark.parametrize("failure", [UnicodeError("label too long"), MemoryError(), KeyboardInterrupt()])
def test_whatever_happens_in_the_resolver_is_a_dns_error(make_transport, failure):
    """A thread has nobody above it to raise to."""

    def resolve(name, port):
        raise failure

    with pytest.raises(errors.DnsError):
        make_transport(resolve=resolve).send(post("http://odd.example/"), soon(), API)


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1"])
def test_a_name_that_leads_to_a_forbidden_address_is_refused(make_transport, address):
    """The address that is connected to is the one that was checked, whatever the name promised."""
    transport = make_transport(resolve=resolver(address))

    with pytest.raises(errors.ConnectError, match="which a job input may not lead to") as caught:
        transport.send(get("http://innocent.example/"), soon(), INPUT)

    assert (caught.value.retryable, caught.value.outcome) == (False, "not_sent")


def test_a_forbidden_address_is_skipped_where_others_are_not(serve, make_transport):
    """One bad record among good ones is not connected to, and costs nothing."""
    server = serve(lambda peer: peer.answer_all())
    transport = make_transport(resolve=resolver("169.254.169.254", "127.0.0.1"))

    assert transport.send(get(f"http://mixed.example:{server.port}/"), soon(), INPUT).body == b"{}"


def test_hosts_that_are_not_on_the_list_are_refused(serve, transport):
    """SEEKAPI_INPUT_HOSTS: the first hop and every other."""
    from seekapi._transport import Policy

    server = serve(
        lambda peer: peer.answer_all(b"HTTP/1.1 302\r\nLocation: http://b.example/\r\nContent-Length: 0\r\n\r\n")
    )
    only = Policy(judge=lambda r: None, response_bytes=100, redirects=3, guard=True, allowed_hosts=("127.0.0.1",))

    with pytest.raises(errors.ConnectError, match=r"b\.example is not among"):
        transport.send(get(server.url), soon(), only)
    with pytest.raises(errors.ConnectError, match="localhost is not among"):
        transport.send(get(f"http://localhost:{server.port}/"), soon(), only)

    assert server.connections == 1


def tunnel(target_port, seen, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
    """A proxy: it notes the CONNECT, and passes bytes to and fro."""

    def script(peer):
        seen.append(peer.read_head())
        peer.send(answer)
        if b" 200 " not in answer or not target_port:
            return
        with socket.create_connection(("127.0.0.1", target_port)) as there:
            back = threading.Thread(target=copy, args=(there, peer.sock), daemon=True)
            back.start()
            copy(peer.sock, there)
            back.join(10)

    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    return script


def test_https_goes_through_the_proxy_sealed(serve, make_transport):
    """The proxy sees a host name and ciphertext; its own password goes to it alone."""
    seen = []
    server = serve(lambda peer: peer.answer_all(), certificate="good")
    proxy = serve(tunnel(server.port, seen))
    transport = make_transport(https_proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}")

    for _ in range(2):
        assert transport.send(post(f"https://127.0.0.1:{server.port}/x"), soon(), API).body == b"{}"

    assert seen[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in seen[0]
    assert b"s3cr3t" not in seen[0]
    assert (len(seen), proxy.connections, server.connections) == (1, 1, 1)
    assert b"Proxy" not in server.requests[0][0]


def test_plain_http_and_exempt_hosts_do_not_go_through_it(serve, make_transport):
    """A secret over plain http would be the proxy's; NO_PROXY means no."""
    proxy = serve(lambda peer: peer.wait_for_the_end())
    plain = serve(lambda peer: peer.answer_all())
    sealed = serve(lambda peer: peer.answer_all(), certificate="good")
    transport = make_transport(https_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="127.0.0.0/8")

    transport.send(post(plain.url), soon(), API)
    transport.send(post(sealed.url), soon(), API)

    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", False),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", True),
        (b"", True),
        (b"garbage, not http at all\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\ngarbage", True),
    ],
)
def test_a_proxy_that_does_not_connect_is_a_connect_error(serve, make_transport, answer, retryable):
    """Nothing of the request has left; the proxy's status is named, its words are not."""
    proxy = serve(tunnel(0, [], answer))
    transport = make_transport(https_proxy=f"127.0.0.1:{proxy.port}")

    with pytest.raises(errors.ConnectError, match="proxy") as caught:
        transport.send(post("https://platform.example/"), soon(), API)

    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", retryable)
    assert "garbage" not in str(caught.value)


def test_a_malformed_proxy_is_a_configuration_error(make_transport):
    """The message names the variable, never its value."""
    transport = make_transport(https_proxy="socks5://user:hunter2@proxy:1080")

    with pytest.raises(errors.ConfigurationError, match="HTTPS_PROXY") as caught:
        transport.send(post("https://platform.example/"), soon(), API)

    assert "hunter2" not in str(caught.value)


def test_a_lookup_leaves_no_descriptor_behind(make_transport):
    """Every socket pair is closed, by both of its ends."""
    import os

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    transport = make_transport(resolve=failing_resolver(socket.EAI_NONAME))

    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(20):
        with pytest.raises(errors.DnsError):
            transport.send(post("http://nowhere.example/"), soon(), API)
    ends_by = time.monotonic() + 10
    while count() > before and time.monotonic() < ends_by:
        time.sleep(0.01)

    # Fewer, if a thread of an earlier test has closed something meanwhile.
    assert count() <= before

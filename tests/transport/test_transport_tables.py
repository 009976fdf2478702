"""The pure parts: URLs taken apart, addresses forbidden, proxies chosen, bodies inflated. Tables, then garbage."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from seekapi import errors
from seekapi._transport import decoding, driver, guard, proxies, targets

from .loopback import API, INPUT, get, post, soon


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://host", (False, "host", 80, "/")),
        ("HTTPS://Host.Example./A?b=%2F", (True, "host.example", 443, "/A?b=%2F")),
        ("https://h:8443/x#frag?no", (True, "h", 8443, "/x")),
        ("http://h?q", (False, "h", 80, "/?q")),
        ("http://h:/x", (False, "h", 80, "/x")),
        ("http://[::1]:81/", (False, "::1", 81, "/")),
        ("http://bücher.example/ä?ö", (False, "xn--bcher-kva.example", 80, "/%C3%A4?%C3%B6")),
        ("http://h//a/../b", (False, "h", 80, "//a/../b")),
        ("http://h/a?x=http://u@v/", (False, "h", 80, "/a?x=http://u@v/")),
    ],
)
def test_a_url_is_taken_apart(url, parts):
    """Scheme, host, port and path, as they are sent."""
    target = targets.target_of(url)

    assert (target.secure, target.host, target.port, target.path) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret-part",
        "//host/secret",
        "file:///etc/secret",
        "ftp://host/secret",
        "data:,secret",
        "http:///secret",
        "http://user:secret@host/",
        "http://host@169.254.169.254/secret",
        "http://host/sec ret",
        "http://host/secret\r\nX: y",
        "http://host/\tsecret",
        "http://host:0/secret",
        "http://host:65536/secret",
        "http://host:8o/secret",
        "http://ho st/",
        "http://host\\@evil/secret",
        "http://[::1/secret",
        "http://[fe80::1%25eth0]/secret",
        "http://a..-/secret",
        "http://%31.example/secret",
        "http://host/secret\ud800",
        "http://" + "a" * 20_000,
        None,
        7,
    ],
)
def test_what_is_not_a_plain_http_url_is_refused_unseen(url):
    """A typed error before any connection, final, and nothing of the URL in it."""
    with pytest.raises(errors.ConnectError) as caught:
        targets.target_of(url)

    assert (caught.value.retryable, caught.value.outcome) == (False, "not_sent")
    assert "secret" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_a_url_with_a_password_is_told_so():
    """The message says what to take out."""
    with pytest.raises(errors.ConnectError, match="user name or password"):
        targets.target_of("http://user:secret@host/")


def test_garbage_is_a_target_or_a_connect_error():
    """Nothing else gets out, whatever goes in."""
    chance = random.Random(7)
    alphabet = "htps:/?#@[]%.\\ \n\x00é\ud8001290abc-_"

    for _ in range(5000):
        url = "http://"[: chance.randrange(8)] + "".join(chance.choices(alphabet, k=chance.randrange(20)))
        try:
            target = targets.target_of(url)
        except errors.ConnectError:
            continue
        assert target.path.isascii()
        assert target.host.isascii()
        assert 0 < target.port < 65536


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("169.254.0.1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("::", "unspecified"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("ff02::1", "multicast"),
        ("fd00:ec2::254", "metadata"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("::169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("127.0.0.1", ""),
        ("10.0.0.1", ""),
        ("192.168.1.1", ""),
        ("172.16.0.1", ""),
        ("169.253.255.255", ""),
        ("223.255.255.255", ""),
        ("52.216.1.1", ""),
        ("::1", ""),
        ("::ffff:10.0.0.1", ""),
        ("fd00::1", ""),
        ("2600:9000::1", ""),
    ],
)
def test_addresses_that_answer_only_to_the_machine_are_forbidden(address, kind):
    """Metadata, link-local, multicast and unspecified, in every spelling; loopback and private networks are not."""
    refusal = guard.refusal_of(address)

    assert refusal.startswith(kind) if kind else refusal == ""


@pytest.mark.parametrize(
    ("host", "allowed", "verdict"),
    [
        ("a.example", (), True),
        ("a.example", ("a.example",), True),
        ("b.example", ("a.example",), False),
        ("x.a.example", ("a.example",), False),
        ("x.a.example", (".a.example",), True),
        ("x.a.example", ("*.a.example",), True),
        ("xa.example", (".a.example",), False),
        ("a.example", ("b.example", "A.Example"), True),
    ],
)
def test_a_list_of_hosts_means_these_hosts(host, allowed, verdict):
    """A name is itself; a leading dot or star is all that is below it."""
    assert guard.is_allowed_host(host, allowed) is verdict


@pytest.mark.parametrize(
    ("host", "no_proxy", "verdict"),
    [
        ("a.example", "", False),
        ("a.example", "*", True),
        ("a.example", "b.example, a.example", True),
        ("a.example", "example", True),
        ("a.example", ".example", True),
        ("a.example", "*.example", True),
        ("an.example", "n.example", False),
        ("a.example", "a.example:443", True),
        ("a.example", "a.example:8443", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("a.example", "10.0.0.0/8", False),
        ("::1", "[::1]", True),
        ("::1", "::1", True),
        ("::1", "[::1]:443", True),
        ("a.example", "nonsense/99 , ,", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_ranges(host, no_proxy, verdict):
    """The rules that curl and others share."""
    assert proxies.is_exempt(host, 443, no_proxy) is verdict


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", ("proxy", 3128, "")),
        ("proxy:3128", ("proxy", 3128, "")),
        ("http://proxy:3128/", ("proxy", 3128, "")),
        ("http://u:p@proxy:3128", ("proxy", 3128, "Basic dTpw")),
        ("http://u:p%40@proxy", ("proxy", 80, "Basic dTpwQA==")),
    ],
)
def test_a_proxy_is_a_host_a_port_and_perhaps_a_password(text, proxy):
    """The usual spellings of HTTPS_PROXY."""
    assert proxies.proxy_for(targets.target_of("https://h/"), text, "") == proxy
    assert proxies.proxy_for(targets.target_of("http://h/"), text, "") is None


def bodies():
    text = b'{"message": "hello"}' * 50
    raw = zlib.compressobj(wbits=-15)
    return [
        (b"gzip", gzip.compress(text), text),
        (b"x-gzip", gzip.compress(text), text),
        (b"gzip", gzip.compress(text) + gzip.compress(b"!") + bytes(8), text + b"!"),
        (b"deflate", zlib.compress(text), text),
        (b"deflate", raw.compress(text) + raw.flush(), text),
        (b"identity", text, text),
        (b"gzip", b"", b""),
    ]


@pytest.mark.parametrize(("coding", "body", "text"), bodies())
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_a_coded_body_is_decoded_however_it_is_cut(coding, body, text, piece_bytes):
    """gzip, more than one member of it, and both deflates."""
    decoder = decoding.decoder_for(coding.decode(), 10_000, "host")

    pieces = [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]
    decoded = b"".join(decoder.decode(piece) if decoder else piece for piece in pieces)
    if decoder:
        decoder.finish()

    assert decoded == text


def test_large_decoded_bodies_come_out_whole():
    """Also where one input fills many pieces of output."""
    text = random.Random(1).randbytes(3_000_000) + b"a" * 3_000_000
    decoder = decoding.decoder_for("gzip", 10_000_000, "host")

    decoded = decoder.decode(gzip.compress(text))
    decoder.finish()

    assert decoded == text


def test_what_is_left_in_the_engine_comes_out():
    """Raw deflate may take all of its input and still hold the end of the output."""
    for extra_bytes in range(0, 300, 7):
        text = b"a" * (256 * 1024 + extra_bytes)
        raw = zlib.compressobj(wbits=-15)
        body = raw.compress(text) + raw.flush()
        decoder = decoding.decoder_for("deflate", 10_000_000, "host")

        decoded = decoder.decode(body)
        decoder.finish()

        assert decoded == text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not gzip at all", "corrupt"),
        (gzip.compress(b"x" * 1000)[:-6], "cut short"),
        (gzip.compress(b"x" * 1000) + b"garbage", "corrupt"),
        (gzip.compress(b"x" * 200_000), "larger than 100000 bytes"),
    ],
)
def test_a_bad_coded_body_is_a_protocol_error(serve, transport, body, says):
    """Corrupt, cut or too large: typed and final."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = serve(lambda peer: peer.answer_all(head + body))
    from seekapi._transport import Policy

    small = Policy(judge=lambda r: None, response_bytes=100_000, inflate=True)

    with pytest.raises(errors.ProtocolError, match=says):
        transport.send(get(server.url), soon(), small)

    assert len(server.requests) == 1


def test_a_bomb_is_refused_by_its_ratio():
    """Long before the cap, if the cap is high."""
    bomb = gzip.compress(bytes(20_000_000))

    with pytest.raises(errors.ProtocolError, match="500-fold"):
        decoding.decoder_for("gzip", 10**9, "host").decode(bomb)


def test_an_unknown_coding_is_named(serve, transport):
    """Nobody asked for brotli."""
    server = serve(
        lambda peer: peer.answer_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}")
    )

    with pytest.raises(errors.ProtocolError, match="not supported: br"):
        transport.send(get(server.url), soon(), INPUT)


def test_only_the_input_asks_for_gzip(serve, transport):
    """A reply of the API is a few bytes; an input may be large."""
    server = serve(lambda peer: peer.answer_all())

    transport.send(post(server.url), soon(), API)
    transport.send(get(server.url), soon(), INPUT)

    assert b"Accept-Encoding: identity\r\n" in server.requests[0][0] + b"\r\n"
    assert b"Accept-Encoding: gzip\r\n" in server.requests[1][0] + b"\r\n"


def test_select_serves_where_there_is_no_poll():
    """Both ways to wait give the same answers."""
    import socket

    left, right = socket.socketpair()
    with left, right:
        interests = ((left.fileno(), driver.READ | driver.WRITE), (right.fileno(), driver.READ))
        left.send(b"x")

        for poll in (driver._poll_with_select, driver._poll_with_poll):
            assert dict(poll(interests, 1.0)) == {left.fileno(): driver.WRITE, right.fileno(): driver.READ}
            assert poll((), 0.0) == []


@pytest.mark.parametrize("location", ["/caf\xc3\xa9?q=\xc3\xa9", "http://other.example/caf\xc3\xa9?q=\xc3\xa9"])
def test_a_redirect_beyond_ascii_is_taken_byte_for_byte(location):
    """A field is read as Latin-1; what the server meant is UTF-8, and is encoded once."""
    assert targets.redirected(targets.target_of("http://h/x"), location).path == "/caf%C3%A9?q=%C3%A9"

"""Who may come in: names, origins, secrets, tokens, and what a browser is told about every answer."""

from __future__ import annotations

import base64

import pytest

from devserver.served import API_KEY, SECRET, Peer, ask, serving

PUSH = "/v1/internal/jobs/1/push"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Started with --auth."""
    with serving(tmp_path_factory.mktemp("auth"), needs_token=True) as server:
        yield server


@pytest.fixture(scope="module")
def with_password(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("basic"), basic_auth=("ann", "pässword:1"), prefix="/api") as server:
        yield server


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_server_answers_to_the_names_of_this_machine(server, name):
    """Three names, each with the port."""
    assert ask(server, "GET", "/hello", host=f"{name}:{server.port}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "localhost6:{port}",
        "localhost.:{port}",
        "127.0.0.1.:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.1:{port}",
        "0177.0.0.1:{port}",
        "2130706433:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "[0:0:0:0:0:0:0:1]:{port}",
        "LOCALHOST:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}, evil.example",
        "127.0.0.1:0{port}",
        "localhost:{port}.evil.example",
    ],
)
def test_any_other_name_is_somebody_elses_server(server, host):
    """DNS rebinding ends here, before any work; the spelling has to be exact."""
    seen = ask(server, "POST", "/rows", body={"a": 1}, host=host.format(port=server.port))

    assert (seen.status, seen.json()) == (403, {"message": "the Host header names another server than this one"})
    assert server.store.rows == []


@pytest.mark.parametrize(
    "head, status",
    [
        ("GET /hello HTTP/1.1\r\n\r\n", 400),
        ("GET /hello HTTP/1.0\r\n\r\n", 403),
        ("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400),
        ("GET http://127.0.0.1:{port}/hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400),
        ("GET http://evil.example/hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: a\r\nOrigin: b\r\n\r\n", 400),
    ],
)
def test_a_host_is_there_exactly_once_and_nowhere_else(server, head, status):
    """No Host, two of them, or another in the request target."""
    with Peer(server) as peer:
        peer.send(head.format(port=server.port).encode())

        assert peer.answer().status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:{port}"},
        {"origin": "http://127.0.0.1:{port}.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "Same-Origin"},
        {"sec_fetch_site": ""},
        {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_page_of_another_origin_gets_nothing(server, headers):
    """Whatever a browser says about where a request comes from has to be us; reading is refused like writing."""
    headers = {name: value.format(port=server.port) for name, value in headers.items()}

    for method, body in (("GET", b""), ("POST", {"a": 1})):
        assert ask(server, method, "/rows", body=body, **headers).status == 403
    assert server.store.rows == []


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_a_typed_address_come_in(server, site):
    """The dashboard's own requests, and the address bar."""
    assert ask(server, "GET", "/rows", origin=f"http://127.0.0.1:{server.port}", sec_fetch_site=site).status == 200


@pytest.mark.parametrize(
    "method, target",
    [("GET", "/hello"), ("GET", "/nothing"), ("OPTIONS", "/rows"), ("GET", "/boom"), ("GET", "/file/256")],
)
def test_every_answer_says_what_a_browser_may_do_with_it(server, method, target):
    """Nothing sniffed, framed, cached or run; and never a CORS header."""
    seen = ask(server, method, target, origin=f"http://127.0.0.1:{server.port}")
    names = {name.lower() for name, _ in seen.headers}

    assert seen.headers.get("X-Content-Type-Options") == "nosniff"
    assert seen.headers.get("Content-Security-Policy").startswith("default-src 'none'; frame-ancestors 'none'")
    assert seen.headers.get("Cache-Control") == "no-store"
    assert seen.headers.get("Referrer-Policy") == "no-referrer"
    assert seen.headers.get("Cross-Origin-Resource-Policy") == "same-origin"
    assert not [name for name in names if name.startswith("access-control")]


@pytest.mark.parametrize(
    "secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "é", f"Bearer {SECRET}"]
)
def test_a_worker_shows_the_secret(server, secret):
    """Missing or wrong: 401 in the words of the worker's protocol, and nothing is kept."""
    seen = ask(server, "POST", PUSH, body={"data": 1}, x_internal_secret=secret)

    assert seen.status == 401
    assert seen.json()["error"]["code"] == "UNAUTHORIZED"
    assert seen.json()["ok"] is False
    assert server.store.rows == []


def test_two_secrets_are_none(server):
    """Of two values two readers might take different ones."""
    with Peer(server) as peer:
        head = f"POST {PUSH} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        peer.send(f"{head}X-Internal-Secret: {SECRET}\r\nX-Internal-Secret: x\r\nContent-Length: 2\r\n\r\n[]".encode())

        assert peer.answer().status == 400


def test_secrets_are_compared_in_constant_time(monkeypatch, server):
    """Every comparison of a secret goes through hmac.compare_digest."""
    from seekapi._devserver import access

    compared = []
    genuine = access.hmac.compare_digest
    monkeypatch.setattr(access.hmac, "compare_digest", lambda a, b: compared.append(b) or genuine(a, b))

    ask(server, "POST", PUSH, body={"data": 1}, x_internal_secret="wrong")
    ask(server, "GET", "/key", authorization="Bearer wrong")

    assert SECRET.encode() in compared
    assert API_KEY.encode() in compared


@pytest.mark.parametrize("path", ["/", "/hello", "/rows", "/nothing", "/jobs", "/key"])
def test_under_auth_every_request_shows_the_token(guarded, path):
    """Without it nothing is said, not even whether a path exists."""
    assert ask(guarded, "GET", path).status == 401
    assert ask(guarded, "GET", path, authorization="Bearer 0123").status == 401
    assert ask(guarded, "GET", path, authorization=f"Basic {API_KEY}").status == 401
    assert ask(guarded, "GET", path, authorization=f"Bearer {API_KEY}").status in (200, 404)


def test_a_browser_gets_in_by_the_printed_address(guarded):
    """The token leaves the address at once, for a cookie that no script reads and no other site sends."""
    first = ask(guarded, "GET", f"/?token={API_KEY}")
    cookie = first.headers.get("Set-Cookie")
    pair, *attributes = cookie.split("; ")

    assert (first.status, first.headers.get("Location")) == (303, "/")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert API_KEY not in cookie
    assert ask(guarded, "GET", "/", cookie=f"theme=dark; {pair}").status == 200
    assert ask(guarded, "GET", "/", cookie=pair[:-1]).status == 401
    assert ask(guarded, "GET", "/?token=wrong").status == 401


def test_workers_and_signed_addresses_need_no_token(guarded):
    """The secret and a signature are as good, and a worker has nothing else."""
    assert ask(guarded, "POST", PUSH, body={"a": 1}, x_internal_secret=SECRET).status == 200
    assert ask(guarded, "POST", PUSH, body={"a": 1}).status == 401
    assert ask(guarded, "GET", "/signed").status == 200


def test_a_key_is_asked_for_where_the_service_does(server):
    """A route of its kind asks for the api key without --auth, too."""
    assert ask(server, "GET", "/key").status == 401
    assert ask(server, "GET", "/key").headers.get("WWW-Authenticate") == 'Bearer realm="seekapi"'
    assert ask(server, "GET", "/key", authorization=f"bearer {API_KEY}").status == 200


@pytest.mark.parametrize(
    "authorization, status",
    [
        (None, 401),
        ("Basic " + base64.b64encode("ann:pässword:1".encode()).decode(), 200),
        ("basic " + base64.b64encode("ann:pässword:1".encode()).decode(), 200),
        ("Basic " + base64.b64encode(b"ann:").decode(), 401),
        ("Basic " + base64.b64encode(b"bob:password").decode(), 401),
        ("Basic !!!", 401),
        ("Basic", 401),
        (f"Bearer {API_KEY}", 200),
        ("Bearer x", 401),
    ],
)
def test_the_platform_may_ask_for_a_password(with_password, authorization, status):
    """Basic, as the service that it stands for, or the api key; its pages show the same jobs, so they ask too."""
    seen = ask(with_password, "GET", "/api/jobs", authorization=authorization)

    assert seen.status == status
    assert (seen.headers.get("WWW-Authenticate") == 'Basic realm="seekapi"') == (status == 401)
    assert ask(with_password, "GET", "/", authorization=authorization).status == status
    assert ask(with_password, "GET", "/hello").status == 200
    assert ask(with_password, "GET", "/jobs").status == 404
    assert ask(with_password, "OPTIONS", "/api/jobs").status == 200


def test_other_machines_are_let_in_only_with_a_token(tmp_path):
    """An address that is not this machine's own wants --auth, and says so."""
    from seekapi.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="--auth"), serving(tmp_path, host="0.0.0.0"):
        pass

    with serving(tmp_path, host="0.0.0.0", needs_token=True) as server:
        for host in (f"127.0.0.1:{server.port}", f"192.0.2.7:{server.port}", f"[2001:db8::1]:{server.port}"):
            assert ask(server, "GET", "/hello", host=host).status == 401
            assert ask(server, "GET", "/hello", host=host, authorization=f"Bearer {API_KEY}").status == 200
        for name in ("evil.example", "0300.0.2.7", "192.0.2.7:1", "[::1", "[0:0:0:0:0:0:0:1]", "[2001:DB8::1]"):
            host = f"{name}:{server.port}"
            assert ask(server, "GET", "/hello", host=host, authorization=f"Bearer {API_KEY}").status == 403

"""Which handler gets a request, what it is given, and what the caller is told when something is wrong."""

from __future__ import annotations

import errno

import pytest

from devserver.served import ROUTES, SECRET, Peer, ask, serving, until
from seekapi._devserver import app
from seekapi._devserver.app import RouteTable
from seekapi._devserver.database import NotStored
from seekapi._devserver.exchange import Answer, Incoming, Refusal, Route

FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("app")) as server:
        yield server


@pytest.mark.parametrize(
    "path, values",
    [
        ("/hello", []),
        ("/rows/1/of/2", ["1", "2"]),
        ("/rows/%2F/of/%2e%2e", ["%2F", "%2e%2e"]),
        ("/rows/newest", []),
        ("/rows/other", ["other"]),
        ("/", []),
    ],
)
def test_a_path_leads_to_its_routes(path, values):
    """Segment by segment, a literal one first; a name never spans two."""
    methods, found = RouteTable(ROUTES).find(path)

    assert methods
    assert found == values


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/hello/",
        "//",
        "//hello",
        "/rows//of/2",
        "/Hello",
        "/%68ello",
        "/rows/1/of/2/3",
        "/rows/../hello",
        "/methods",
        "/{}",
    ],
)
def test_no_other_path_is_served(path):
    """Nothing is normalised: `..`, doubled slashes and encoded letters lead nowhere."""
    assert RouteTable(ROUTES).find(path)[0] == {}


def test_no_route_is_there_twice():
    """Of two handlers for one path, one would never be called."""
    with pytest.raises(AssertionError, match="twice"):
        RouteTable([*ROUTES, ROUTES[0]])


@pytest.mark.parametrize(
    "target, params",
    [
        ("/rows/a%2Fb/of/%C3%A9", {"row": "a/b", "kind": "é"}),
        ("/rows/%2e%2e/of/a+b", {"row": "..", "kind": "a+b"}),
        ("/rows/%0A/of/%25", {"row": "\n", "kind": "%"}),
    ],
)
def test_names_in_a_path_are_decoded_once(server, target, params):
    """Each segment by itself, after the path was taken apart."""
    assert ask(server, "GET", target).json() == params


@pytest.mark.parametrize("escape", ["%", "%4", "%zz", "%+1", "% 1", "%C3", "%ED%A0%80", "%00", "%FF", "%u0041"])
def test_half_an_escape_is_refused(server, escape):
    """In a path, and in a query."""
    escape = escape.replace(" ", "%20%")

    assert ask(server, "GET", f"/rows/{escape}/of/1").status == 400
    assert ask(server, "GET", f"/hello?name={escape}").status == 400


def test_a_query_keeps_order_and_repetition():
    """`+` and %20 are blanks, an empty field is none, the first of several is the first."""
    query = Incoming("GET", "/", "a=1&b=&a=2+3&&c&d=%26%3D").query

    assert list(query) == [("a", "1"), ("b", ""), ("a", "2 3"), ("c", ""), ("d", "&=")]
    assert (query.first("a"), query.all("a"), query.first("x", "none")) == ("1", ["1", "2 3"], "none")


def test_what_is_not_there_is_told_apart(server):
    """404 for a path, 405 with Allow for a method, OPTIONS without either; HEAD is GET without its body."""
    assert ask(server, "GET", "/nothing").json() == {"message": "there is nothing at this path"}
    refused = ask(server, "PATCH", "/rows", body={})
    assert (refused.status, refused.headers.get("Allow")) == (405, "GET, HEAD, OPTIONS, POST")
    options = ask(server, "OPTIONS", "/rows")
    assert (options.status, options.headers.get("Allow"), options.body) == (200, "GET, HEAD, OPTIONS, POST", b"")
    head = ask(server, "HEAD", "/hello")
    assert (head.status, head.headers.get("Content-Length"), head.body) == (200, "18", b"")
    assert ask(server, "HEAD", "/act").status == 405


def test_each_family_refuses_in_its_own_words(server):
    """The worker's protocol has a code in an object, the others a message."""
    worker = ask(
        server, "POST", "/v1/internal/jobs/1/push", body=b"{", content_type="application/json", x_internal_secret=SECRET
    )
    other = ask(server, "POST", "/rows", body=b"{", content_type="application/json")

    assert worker.status == other.status == 400
    assert worker.json()["error"]["code"] == "INVALID_REQUEST"
    assert worker.json()["error"]["message"] == other.json()["message"]
    assert ask(server, "GET", "/v1/internal/x").json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", FORM, "application/jsonx", "json"]
)
def test_a_json_route_takes_json_only(server, content_type):
    """What a form can send without asking is refused by its type, whatever is in it."""
    seen = ask(server, "POST", "/rows", body=b'{"a": 1}', content_type=content_type)

    assert seen.status == 415
    assert server.store.rows == []


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", FORM])
def test_a_form_reaches_no_route_that_acts(server, content_type):
    """Not even one that takes no body."""
    assert ask(server, "POST", "/act", content_type=content_type).status == 415
    assert ask(server, "POST", "/act").status == 200


def test_a_type_may_have_parameters(server):
    """As clients write it, in any case."""
    for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
        assert ask(server, "POST", "/rows", body=b"1", content_type=content_type).status == 200


def test_packed_bodies_are_not_unpacked(server):
    """A bomb is refused unseen."""
    seen = ask(server, "POST", "/rows", body=b"1", content_type="application/json", content_encoding="gzip")

    assert seen.status == 415


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[1,]", b"\xff", b"[" * 100_000, b"9" * 5000, b"'a'"])
def test_what_is_not_json_is_a_400_without_a_traceback(server, body):
    """Strict, and short about it."""
    seen = ask(server, "POST", "/rows", body=body, content_type="application/json")

    assert seen.status == 400
    assert seen.json()["message"].startswith("the body is not JSON: ")
    assert len(seen.body) < 200


def test_a_refusal_of_the_handler_undoes_what_it_did(server):
    """The savepoint is rolled back, and the connection lives on."""
    with Peer(server) as peer:
        before = peer.ask("GET", "/rows").json()
        refused = peer.ask("POST", "/rows", body=b'"refuse"', content_type="application/json")

        assert (refused.status, refused.json()) == (409, {"message": "not that"})
        assert peer.ask("GET", "/rows").json() == before


@pytest.mark.parametrize(
    "method, target", [("GET", "/boom"), ("DELETE", "/rows/1"), ("POST", "/v1/internal/jobs/1/crash")]
)
def test_a_crash_is_a_number_for_the_caller_and_a_traceback_for_the_log(server, caplog, method, target):
    """Nothing of the program, and no secret, leaves it; on either thread, and the connection lives on."""
    with Peer(server) as peer:
        body = b"1" if method == "POST" else b""
        seen = peer.ask(method, target, body=body, content_type="application/json", x_internal_secret=SECRET)
        again = peer.ask("GET", "/hello")

    crash_id = seen.body.decode().partition("look for ")[2][:8]
    assert (seen.status, again.status) == (500, 200)
    assert b"Traceback" not in seen.body and b".py" not in seen.body and b'Error"' not in seen.body
    assert f"crash {crash_id} at {target}" in caplog.text
    assert "Traceback" in caplog.text
    assert SECRET not in caplog.text + seen.body.decode()


def test_hostile_text_in_a_traceback_moves_no_cursor(server, caplog):
    """Control characters are escaped in the log."""
    server.app.refused(ValueError("\x1b[2J\x07\u202e"), "/x")

    assert "\\x1b[2J\\x07\\u202e" in caplog.text
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize(
    "error, status",
    [
        (NotStored("database or disk is full"), 507),
        (OSError(errno.ENOSPC, "No space left on device"), 507),
        (OSError(errno.EACCES, "Permission denied"), 500),
        (Refusal(418, "TEAPOT", "short and stout"), 418),
    ],
)
def test_whatever_a_handler_raises_has_a_status(server, error, status):
    """A full disk is not a bug."""
    answer = server.app.refused(error, "/v1/internal/x")

    assert answer.status == status
    assert b'"ok": false' in answer.body


def test_an_upload_is_on_disk_before_its_handler_runs(server):
    """Streamed, counted, private, and gone afterwards."""
    import os

    seen = ask(server, "POST", "/upload", body=b"x" * 3_000_000, content_type=FORM).json()

    assert seen["size_bytes"] == 3_000_000
    until(lambda: not os.path.exists(seen["at"]))


def test_a_receiver_may_refuse_before_the_body_comes(server):
    """In the words of its family, and the connection lives on."""
    with Peer(server) as peer:
        refused = peer.ask("POST", "/v1/internal/no-job", body=b"x" * 1000, content_type=FORM)

        assert (refused.status, refused.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
        assert peer.ask("GET", "/hello").status == 200


@pytest.mark.parametrize(
    "content_type, sent, shown",
    [
        ("image/png", "image/png", "inline"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("text/html", "text/html", "attachment"),
        ("text/html\r\nX: y", "application/octet-stream", "attachment"),
        ("", "application/octet-stream", "attachment"),
    ],
)
def test_a_file_is_a_download_unless_it_is_a_picture(tmp_path, content_type, sent, shown):
    """No script of a worker's file runs here; its name and type cannot add a header."""
    answer = Answer.file(tmp_path / "x", 1, 'a"b\r\né.png', content_type, inline=True)
    disposition = dict(answer.headers)["Content-Disposition"]

    assert answer.content_type == sent
    assert disposition == f"{shown}; filename=\"a_b___.png\"; filename*=UTF-8''a%22b%0D%0A%C3%A9.png"


def test_every_feature_is_in_the_table():
    """What the server serves is what the modules export, and no two of them want the same path."""
    table = RouteTable(app.routes(), "/prefix")

    assert all(isinstance(route, Route) for route in table.routes)
    assert all(route.auth in ("secret", "jobs", "key", "signed", "page", "open") for route in table.routes)
    assert not [route for route in table.routes if route.method == "GET" and route.writes], "a GET changes nothing"

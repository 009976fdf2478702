"""Lists: page after page, to the end, and always to an end."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest
from transport.loopback import Peer

from seekapi import ArgumentError, Client, InvalidRequestError

from .service import FIRST_SECOND, Service


def fill(service: Service, count: int) -> list[str]:
    """Ids, newest first."""
    for number in range(count):
        service.add({"n": number}, "error" if number % 3 == 0 else "queued")
    return [job["job_id"] for job in reversed(service.jobs)]


def test_all_pages_are_read(client, service):
    """Newest first, each once; pages are fetched when they are needed."""
    ids = fill(service, 1120)
    found = client.jobs.list()

    assert service.requests == []
    assert [job.id for job in found] == ids
    assert len(service.requests) == 3


@pytest.mark.parametrize("limit, requests", [(1, 1), (50, 1), (60, 1), (620, 2)])
def test_a_limit_is_of_jobs_not_of_a_page(client, service, limit, requests):
    """Exactly as many, with as few requests as it takes."""
    ids = fill(service, 700)

    assert [job.id for job in client.jobs.list(limit=limit)] == ids[:limit]
    assert len(service.requests) == requests


def test_filters_stay_on_every_page():
    """The link to the next page lost them, and the prefix: they are kept all the same."""
    with Service(prefix="/api/v2") as service, Client(service.url) as client:
        fill(service, 1800)
        found = list(client.jobs.list(status="error"))

    assert len(found) == 600
    assert {job.status for job in found} == {"error"}
    assert all(target.startswith("/api/v2/jobs?") for _, target, _, _ in service.requests)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.fromtimestamp(FIRST_SECOND + 4, timezone.utc),
        datetime.fromtimestamp(FIRST_SECOND + 4),
        FIRST_SECOND + 4.9,
        datetime.fromtimestamp(FIRST_SECOND + 4, timezone.utc).isoformat(),
    ],
    ids=["aware", "naive", "number", "text"],
)
def test_both_ends_of_a_span_are_inclusive(client, service, moment):
    """To the second; the + of an offset survives the URL."""
    ids = fill(service, 10)

    assert [job.id for job in client.jobs.list(since=moment)] == ids[:6]
    assert [job.id for job in client.jobs.list(until=moment)] == ids[5:]


def test_a_day_begins_at_midnight(client, service):
    """A date is its first moment, here."""
    fill(service, 3)

    assert len(list(client.jobs.list(since=date(2020, 1, 1)))) == 3


@pytest.mark.parametrize(
    "arguments", [{"since": "soon"}, {"until": object()}, {"since": True}, {"limit": 0}, {"job_ids": "one"}]
)
def test_what_cannot_be_asked_is_refused_at_once(client, service, arguments):
    """Where list() is called, not where the first job is taken."""
    with pytest.raises(ArgumentError):
        client.jobs.list(**arguments)

    assert service.requests == []


def test_a_status_that_nobody_knows_is_the_services_to_refuse(client):
    """It may know more than we do."""
    with pytest.raises(InvalidRequestError):
        list(client.jobs.list(status="asleep"))


@pytest.mark.parametrize("count", [1, 3, 120])
def test_several_ids_are_all_found(client, service, count):
    """A service that looks at the first only is asked for the others; unknown ones are left out, the order is kept."""
    ids = fill(service, count)
    asked = [ids[-1], "nobody", *ids[:-1]]

    assert [job.id for job in client.jobs.list(job_ids=asked)] == [ids[-1], *ids[:-1]]


def test_a_link_to_the_same_page_ends_the_list():
    """The original's second page leads to itself for ever."""
    with Service(repeats_next=True) as service, Client(service.url) as client:
        ids = fill(service, 1700)
        found = [job.id for job in client.jobs.list()]

    assert found == ids[:1000]
    assert len(service.requests) == 2


def endless(of_page):
    """A service that always has another page, and what `of_page(number)` says is on it."""

    def script(peer: Peer) -> None:
        number = 0
        while peer.read_request():
            body = json.dumps({"Jobs": of_page(number)}).encode()
            number += 1
            link = f"http://192.0.2.1/elsewhere?ekey={number}"
            peer.send(f"HTTP/1.1 200 OK\r\nX-Next: {link}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return script


@pytest.mark.parametrize("rows", [[], [{"job_id": "same", "status": "queued"}]], ids=["empty", "repeated"])
def test_pages_without_news_come_to_an_end(serve, rows):
    """Fresh links for ever, and nothing new behind them. The link's host is never asked."""
    server = serve(endless(lambda number: rows))

    with Client(server.url, api_key="key-0123456789") as client:
        assert len(list(client.jobs.list())) == len(rows)

    assert 50 <= len(server.requests) <= 51


def test_an_empty_page_in_the_middle_is_no_end(serve):
    """A service may filter a page after it has cut it."""
    pages = {0: ["a"], 30: ["b"]}
    server = serve(endless(lambda n: [{"job_id": name, "status": "queued"} for name in pages.get(n, [])]))

    with Client(server.url) as client:
        assert [job.id for job in client.jobs.list()] == ["a", "b"]


@pytest.mark.parametrize("link", ["", "/jobs", "/jobs?limit=50", "?", "nonsense"])
def test_a_link_without_a_key_is_none(serve, link):
    """The page was the last."""
    body = b'{"Jobs": []}'
    reply = f"HTTP/1.1 200 OK\r\nX-Next: {link}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    server = serve(lambda peer: peer.answer_all(reply))

    with Client(server.url) as client:
        assert list(client.jobs.list()) == []

    assert len(server.requests) == 1

"""Whatever a job has delivered can be read, with our own client: each answer stays below what it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from transport.loopback import Peer

import seekapi
from seekapi import Client, NotFoundError
from seekapi._devserver import job_views, records
from seekapi._devserver.exchange import JSON_BYTES
from seekapi._devserver.job_answers import MOST_BYTES
from seekapi._devserver.transactions import Transaction
from seekapi._protocol import job_calls, jobs
from seekapi._protocol.jobs import MOST_NOTE_BYTES
from seekapi.client import calling

from .dev_server import SETTINGS_SCHEMA, DevServer, Worker, dev_server

# Every bound of this test is made smaller by this much.
SCALE = 64
CAP = calling.MAX_REPLY_BYTES // SCALE


@pytest.fixture
def server() -> Iterator[DevServer]:
    with dev_server(settings_schema=SETTINGS_SCHEMA) as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of a megabyte instead of 64, and what goes into them alike."""
    monkeypatch.setattr(calling, "MAX_REPLY_BYTES", CAP)
    monkeypatch.setattr(job_views, "MOST_BYTES", job_views.MOST_BYTES // SCALE)
    monkeypatch.setattr(records, "PAGE_BYTES", records.PAGE_BYTES // SCALE)


def keep(server: DevServer, worker: Worker, kind: str, rows: list[dict[str, Any]]) -> None:
    """What the worker's API keeps of as many calls."""

    def write(tx: Transaction) -> None:
        for number, row in enumerate(rows):
            seq = tx.event_text(worker.attempt, kind, json.dumps(row, ensure_ascii=False))
            if kind == "file":
                tx.execute("INSERT INTO file VALUES (?, ?, ?, ?)", (f"id-{number}", seq, 1, row["name"]))

    server.platform.store.submit(write).result(60)


def test_the_bounds_fit_together():
    """The largest answer there can be, whichever kind, is one that the client takes."""
    # One row may be alone on its page; a number of four bytes may be kept as one of eighteen.
    assert max(job_views.MOST_BYTES, 5 * JSON_BYTES) < calling.MAX_REPLY_BYTES
    # One text without a UTF-8 form, and all are sent as escapes: two bytes as six.
    assert 3 * records.PAGE_BYTES < calling.MAX_REPLY_BYTES
    notes_and_settings = 3 * MOST_NOTE_BYTES
    assert 2 * max(3 * JSON_BYTES, MOST_BYTES) + notes_and_settings < calling.MAX_REPLY_BYTES


def test_pushes_are_counted_in_bytes(server, client, scaled):
    """A character may be three of them, and an answer is as large as its bytes."""
    job = client.jobs.submit({})
    worker = server.claim()
    for _ in range(20):
        seekapi.push_data(worker.context, "你" * (CAP // 40))
    worker.end()

    result = client.jobs.result(job.id)
    assert [len(value) for value in result.values] == [CAP // 40] * 20
    assert result.raw["next"] is None


def test_charges_and_files_come_in_pieces_too(server, client, scaled):
    """Each once, in order, however large they are together."""
    job = client.jobs.submit({})
    worker = server.claim()
    for number in range(20):
        seekapi.charge(worker.context, f"k{number}", 1, justification={"proof": "x" * (CAP // 16)})
    keep(server, worker, "file", [{"name": f"{n} {'x' * (CAP // 16)}", "size_bytes": 0} for n in range(20)])
    seekapi.push_data(worker.context, "the only one")

    result = client.jobs.result(job.id)
    assert [charge["idempotency_key"] for charge in result.charges] == [f"k{number}" for number in range(20)]
    assert [file.name.partition(" ")[0] for file in result.files] == [str(number) for number in range(20)]
    assert result.values == ["the only one"]
    assert [file.name for file in client.jobs.files(job.id)] == [file.name for file in result.files]


def test_nothing_is_sent_twice(server, client):
    """A busy job costs as much as it has: ten times the charges are ten times the answers, and no more."""
    job = client.jobs.submit({})
    worker = server.claim()
    keep(server, worker, "push", [{"type": "json", "data": number} for number in range(3500)])
    keep(server, worker, "charge", [{"idempotency_key": str(number), "count": 1} for number in range(2500)])

    result = client.jobs.result(job.id)
    assert result.values == list(range(3500))
    assert [charge["idempotency_key"] for charge in result.charges] == [str(number) for number in range(2500)]
    answers = [answer_of(client, job.id, "0")]
    while answers[-1]["next"]:
        answers.append(answer_of(client, job.id, answers[-1]["next"]))
    sizes = [(len(answer["pushes"]), len(answer["charges"])) for answer in answers]
    assert sizes == [(1000, 1000), (1000, 1000), (1000, 500), (500, 0)]


def answer_of(client: Client, job_id: str, place: str) -> Any:
    caller = client._caller
    request = job_calls.below(caller.service, job_id, jobs.RESULT, query={"after": place})
    return caller.value(request, caller.deadline(60))


def test_every_file_is_listed_and_found(server, client, tmp_path):
    """Also the last of thousands; by its name, and by its id."""
    job = client.jobs.submit({})
    worker = server.claim()
    names = [f"page-{number:05}.txt" for number in range(10_003)]
    keep(server, worker, "file", [{"id": f"id-{n}", "name": name} for n, name in enumerate(names)])
    (tmp_path / "a").write_bytes(b"the last one")
    seekapi.push_file(worker.context, "last.txt", tmp_path / "a")

    files = client.jobs.files(job.id)
    assert [file.name for file in files] == [*names, "last.txt"]
    assert [file.name for file in client.jobs.result(job.id).files] == [*names, "last.txt"]
    assert client.jobs.download(job.id, files[-1], tmp_path / "b").read_bytes() == b"the last one"
    assert client.jobs.download(job.id, "last.txt", tmp_path / "c").read_bytes() == b"the last one"


def test_a_file_of_another_job_is_not_found(server, client, tmp_path):
    """An id opens nothing but the job that has it."""
    first, second = client.jobs.submit({}), client.jobs.submit({})
    worker = server.claim()
    (tmp_path / "a").write_bytes(b"x")
    seekapi.push_file(worker.context, "mine.txt", tmp_path / "a")
    (file,) = client.jobs.files(first.id)

    for wanted in (file, "mine.txt"):
        with pytest.raises(NotFoundError):
            client.jobs.download(second.id, wanted, tmp_path / "b")


def test_large_notes_and_settings_poison_no_list(server, client, scaled, monkeypatch):
    """A page counts all that it shows of a job; what is too large to be shown is refused."""
    monkeypatch.setattr("seekapi._protocol.jobs.MOST_NOTE_BYTES", MOST_NOTE_BYTES // SCALE)
    ids = [client.jobs.submit({}).id for _ in range(9)]
    client.settings.update({"label": "x" * (1024 * 1024 // SCALE - 100)})
    ids += [client.jobs.submit({}).id for _ in range(60)]
    note = "é" * 2000  # as ASCII six times as long
    for job_id in ids:
        client.jobs.update(job_id, "processing", warnings=[note], errors=[note])
    with pytest.raises(seekapi.InvalidRequestError, match="warnings"):
        client.jobs.update(ids[0], "processing", warnings=["x" * (MOST_NOTE_BYTES // SCALE)])
    for _ in range(3):
        client.jobs.update(ids[0], "processing", warnings=[note])

    assert [job.id for job in client.jobs.list()] == ids[::-1]
    assert [job.id for job in client.jobs.list(job_ids=ids)] == ids
    assert client.jobs.get(ids[0]).warnings == [note]


def test_an_answer_that_repeats_files_and_charges_is_read(serve):
    """Where the place is a number only the pushes go on: nothing is there twice."""
    requests: list[bytes] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request[0].split(b" ")[1])
            page: dict[str, Any] = {"job_id": "j", "status": "completed", "charges": [{"count": 1}]}
            page |= {
                "files": [{"name": "a"}],
                "pushes": [{"data": len(requests)}],
                "next": 7 if len(requests) == 1 else None,
            }
            body = json.dumps(page).encode()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with Client(serve(script).url) as client:
        result = client.jobs.result("j")

    assert (result.values, len(result.files), len(result.charges)) == ([1, 2], 1, 1)
    assert requests == [b"/jobs/j/result", b"/jobs/j/result?after=7"]


@pytest.mark.parametrize("place", ["same", 7, -1, "5.6.7"])
def test_a_place_that_repeats_is_the_last(serve, place):
    """An answer that leads to itself is asked for once."""
    page = {"job_id": "j", "status": "completed", "pushes": [{"data": 1}], "files": [{"name": "a"}], "next": place}
    body = json.dumps(page).encode()
    server = serve(lambda peer: peer.answer_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))

    with Client(server.url) as client:
        assert client.jobs.result("j").values == [1, 1]
        assert len(client.jobs.files("j")) == 2

    assert len(server.requests) == 4

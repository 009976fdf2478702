"""Client and dev server, the two ends of one protocol."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from collections.abc import Iterator

import pytest

import seekapi
from seekapi import AsyncClient, AuthError, Client, ConflictError, InvalidRequestError, NotFoundError
from seekapi._devserver import changes
from seekapi._devserver.transactions import Transaction

from .dev_server import INPUT_SCHEMA, KEY, SETTINGS_SCHEMA, DevServer, dev_server


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Without a schema: any object is an input."""
    with dev_server() as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def test_a_job_from_submission_to_files(server, client, tmp_path):
    """What a worker delivers is what the client reads: values, files, charges, log, progress, in order."""
    job = client.jobs.submit({"name": "ada"})
    worker = server.claim()
    assert client.jobs.get(job.id).status == "processing"
    worker.log("first\nsecond")
    worker.progress(1, 2)
    seekapi.push_data(worker.context, {"n": 1})
    seekapi.push_data(worker.context, [None, "é"])
    content = bytes(range(256)) * 4096
    (tmp_path / "a").write_bytes(content)
    seekapi.push_file(worker.context, "dir/ä %2F.bin", tmp_path / "a", "application/x-thing")
    seekapi.charge(worker.context, "key", 3)
    worker.end()

    result = client.jobs.result(job.id)
    assert (result.ok, result.values, result.error) == (True, [{"n": 1}, [None, "é"]], None)
    assert result.pushes[0].attempt == 1 and result.pushes[0].pushed_at is not None
    assert [(charge["idempotency_key"], charge["count"]) for charge in result.charges] == [("key", 3)]
    (file,) = client.jobs.files(job.id)
    assert (file.name, file.size_bytes, file.content_type) == ("dir/ä %2F.bin", len(content), "application/x-thing")
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert client.jobs.download(job.id, file, tmp_path / "b").read_bytes() == content
    assert client.jobs.download(job.id, "dir/ä %2F.bin", tmp_path / "c").read_bytes() == content
    assert [line.text for line in client.jobs.logs(job.id)] == ["first\nsecond"]
    kinds = ["submitted", "started", "log", "progress", "push", "file", "charge", "ended"]
    happened = [event.kind for event in client.jobs.events(job.id, kinds=kinds)]
    assert happened == [*kinds[:5], *kinds[4:]]
    done = client.jobs.wait(job.id)
    assert done.ok and done.result_count == 2 and done.completed_at is not None


def test_every_file_of_a_list_can_be_fetched(server, client, tmp_path):
    """Also two of one name, one without a name, and one whose name is longer than a URL may be."""
    job = client.jobs.submit({})
    worker = server.claim()
    names = ["a.txt", "a.txt", "", "n" * 9000]
    for number, name in enumerate(names):
        seekapi.push_file(worker.context, name, io.BytesIO(b"%d" % number))
    worker.end()

    files = client.jobs.files(job.id)

    assert [file.name for file in files] == names
    assert [client.jobs.download(job.id, file, tmp_path / "x").read_bytes() for file in files] == [
        b"0",
        b"1",
        b"2",
        b"3",
    ]
    assert client.jobs.download(job.id, "a.txt", tmp_path / "x").read_bytes() == b"1"


def test_a_failed_job_says_why(server, client):
    """Code, message and place."""
    job = client.jobs.submit({})
    fault = {"code": "WORKER_ERROR", "message": "only 2 left", "where": "w.py:3", "line": "x()", "traceback": "T"}
    server.claim().end(fault)

    error = client.jobs.result(job.id).error
    assert error is not None
    assert (str(error), error.where, error.line, error.traceback) == ("WORKER_ERROR: only 2 left", "w.py:3", "x()", "T")
    assert client.jobs.get(job.id).status == "error"


def test_a_wait_ends_when_the_job_does(server, client):
    """The server holds its answer: one request, or two."""
    job = client.jobs.submit({})
    threading.Timer(0.3, lambda: server.claim().end()).start()

    assert client.jobs.wait(job.id, timeout=60).ok


def test_events_are_followed_as_they_come(server, client):
    """Each of them before the next one happens."""
    job = client.jobs.submit({})
    worker = server.claim()
    lines = client.jobs.logs(job.id, follow=True, timeout=60)

    for number in range(5):
        worker.log(f"line {number}")
        assert next(lines).text == f"line {number}"
    worker.end()
    assert list(lines) == []


def test_more_pushes_than_one_answer_holds(server, client):
    """All of them, in order."""
    job = client.jobs.submit({})
    worker = server.claim()
    pushes = [{"type": "json", "data": number} for number in range(2500)]
    server.platform.store.submit(lambda tx: [tx.event(worker.attempt, "push", push) for push in pushes]).result(30)

    assert client.jobs.result(job.id).values == list(range(2500))


def test_lists_go_on_over_pages(server, client):
    """Filters, order and paging, as the server has them."""

    def submit_all(tx: Transaction) -> list[str]:
        return [changes.submit(tx, "{}", settings_json=None, charge_limit=None).job_id for _ in range(1120)]

    ids = server.platform.store.submit(submit_all).result(30)
    client.jobs.cancel(ids[7])

    assert [job.id for job in client.jobs.list()] == ids[::-1]
    assert [job.id for job in client.jobs.list(limit=620)] == ids[::-1][:620]
    assert [job.id for job in client.jobs.list(status="cancelled")] == [ids[7]]
    assert [job.id for job in client.jobs.list(job_ids=[ids[3], "nobody", ids[1]])] == [ids[3], ids[1]]
    assert len(list(client.jobs.list(since="2000-01-01", until="2999-01-01T00:00:00+09:00"))) == 1120
    assert list(client.jobs.list(until="2000-01-01")) == []


def test_a_key_makes_one_job(client):
    """The same again is the same job; another input under it is refused."""
    first = client.jobs.submit({"n": 1}, idempotency_key="order-1")

    assert client.jobs.submit({"n": 1}, idempotency_key="order-1").id == first.id
    with pytest.raises(ConflictError, match="another job"):
        client.jobs.submit({"n": 2}, idempotency_key="order-1")


def test_report_cancel_and_rerun(server, client):
    """What a client may do to a job."""
    job = client.jobs.submit({"n": 1})
    told = client.jobs.update(job.id, "processing", warnings=["slow"])
    assert (told.status, told.warnings) == ("processing", ["slow"])
    assert client.jobs.complete(job.id, {"result_count": 2}).result_count == 2
    assert client.jobs.cancel(job.id).status == "completed"
    assert client.jobs.rerun(job.id).input == {"n": 1}
    assert client.jobs.rerun(job.id, input={"n": 2}).input == {"n": 2}
    for call in (client.jobs.cancel, client.jobs.rerun, client.jobs.result, client.jobs.files, client.jobs.wait):
        with pytest.raises(NotFoundError, match="nobody"):
            call("nobody")


def test_the_strict_way(server):
    """Then a status that may not follow is a conflict."""
    with dev_server(strict=True) as server, Client(server.url) as client:
        job = client.jobs.complete(client.jobs.submit({}).id, {})
        with pytest.raises(ConflictError, match="completed cannot become queued"):
            client.jobs.update(job.id, "queued")


def test_the_workers_schema_judges_the_input():
    """Every problem, with its place; settings too."""
    with dev_server(input_schema=INPUT_SCHEMA, settings_schema=SETTINGS_SCHEMA) as server, Client(server.url) as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.jobs.submit({"count": -1})
        assert len(caught.value.problems) == 2
        assert any(line.startswith("count: ") for line in caught.value.problems)
        assert client.settings.get()["label"] == "first"
        assert client.settings.update({"adjust": 0.9})["adjust"] == 0.9
        assert client.settings.get()["label"] == "first"
        with pytest.raises(InvalidRequestError, match="lable"):
            client.settings.update({"lable": "x"})
        settings = client.jobs.submit({"name": "x"}).settings
        assert settings is not None and settings["adjust"] == 0.9


def test_without_a_schema_there_are_no_settings(client):
    """404."""
    with pytest.raises(NotFoundError):
        client.settings.get()


def test_behind_a_prefix_and_a_login():
    """Both are the client's arguments."""
    with dev_server(prefix="/api/v2", basic_auth=("ada", "pass-word-1")) as server:
        with Client(server.url, username="ada", password="pass-word-1") as client:
            for _ in range(60):
                client.jobs.submit({})
            assert client.health()
            assert len(list(client.jobs.list())) == 60
        with Client(server.url, username="ada", password="wrong-word-1") as client, pytest.raises(AuthError):
            client.health()


def test_behind_a_key():
    """--auth: the key opens it, and nothing else does."""
    with dev_server(needs_token=True) as server:
        with Client(server.url, KEY) as client:
            assert client.health()
        with Client(server.url) as client, pytest.raises(AuthError):
            client.health()


def test_the_asynchronous_form(server):
    """Submit many, wait for all, follow one."""

    async def use() -> None:
        async with AsyncClient(server.url) as client:
            jobs = await asyncio.gather(*(client.jobs.submit({"n": n}) for n in range(8)))
            waits = [asyncio.ensure_future(client.jobs.wait(job.id)) for job in jobs]
            for _ in jobs:
                worker = await asyncio.to_thread(server.claim)
                await asyncio.to_thread(worker.log, "hello")
                await asyncio.to_thread(worker.end)
            assert all(job.ok for job in await asyncio.gather(*waits))
            assert [event.text async for event in client.jobs.logs(jobs[3].id)] == ["hello"]

    asyncio.run(asyncio.wait_for(use(), 60))

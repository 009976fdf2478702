"""Somebody is asked about each new job: a true HTTP server on the other side."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devserver.platforms import LIMIT_S, Dev
from devserver.running import running
from devserver.served import until
from seekapi._devserver import callback as callbacks
from seekapi._devserver import changes
from seekapi._devserver.callback import Callback
from seekapi._devserver.database import NotStored
from seekapi.errors import ConfigurationError


class Told:
    """A server that keeps what it was told, and answers with the statuses that it was given, while `gate` is open."""

    def __init__(self):
        self.bodies, self.statuses = [], []
        self.gate = threading.Event()
        self.gate.set()
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.bodies.append((self.path, self.headers["Content-Type"], json.loads(body)))
                assert told.gate.wait(LIMIT_S)
                status = told.statuses.pop(0) if told.statuses else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def told():
    told = Told()
    yield told
    told.stop()


def status_of(dev, job_id):
    return dev.ask("GET", f"/jobs/{job_id}").json()["status"]


def test_each_new_job_is_told_in_order(told):
    """The id and the Job object, once it can be asked for; a rerun is a new job."""
    with Dev(callback_url=told.url) as dev:
        callback = Callback(dev.platform)
        first = dev.job({"n": 1})
        second = dev.ask("POST", f"/jobs/{first}/rerun", {}).json()
        until(lambda: len(told.bodies) == 2)
        callback.stop()

        assert [body[2]["job_id"] for body in told.bodies] == [first, second["job_id"]]
        assert told.bodies[1] == ("/hook", "application/json", {"job_id": second["job_id"], "job_definition": second})
        dev.job()
        assert len(told.bodies) == 2
        assert status_of(dev, first) == "queued"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_callback_that_fails_makes_the_job_an_error(told, status):
    """The job says why, and a redirect is not followed."""
    with Dev(callback_url=told.url) as dev:
        callback = Callback(dev.platform)
        told.statuses.append(status)
        failed, fine = dev.job(), dev.job()
        until(lambda: len(told.bodies) == 2)
        callback.stop()
        dev.said()

        job = dev.ask("GET", f"/jobs/{failed}").json()
        assert (job["status"], job["errors"]) == ("error", [f"CALLBACK_FAILED: the callback answered {status}"])
        assert status_of(dev, fine) == "queued"
        assert {body[0] for body in told.bodies} == {"/hook"}


HANDLER = """
    from seekapi import worker

    @worker
    def handler(job_input):
        return job_input
"""


class Submission(threading.Thread):
    """A POST that waits for its answer."""

    def __init__(self, platform, job_input):
        super().__init__(daemon=True)
        self.job = None
        self._platform, self._input = platform, job_input
        self.start()

    def run(self):
        self.job = self._platform.ask("POST", "/jobs", self._input)

    def answer(self):
        self.join(LIMIT_S)
        assert self.job is not None
        return self.job


def test_a_worker_gets_a_job_once_the_callback_has_agreed(tmp_path, told):
    """And who has submitted it gets the 201 then: with the job in the queue, or as the error that it has become."""
    with running(tmp_path, HANDLER, callback_url=told.url, concurrency=2) as platform:
        callback = Callback(platform.platform)
        told.gate.clear()
        told.statuses += [204, 500]
        fine = Submission(platform, {"n": 1})
        until(lambda: len(told.bodies) == 1)
        refused = Submission(platform, {"n": 2})
        until(lambda: len(platform.ask("GET", "/jobs")["Jobs"]) == 2)
        assert {job["status"] for job in platform.ask("GET", "/jobs")["Jobs"]} == {"queued"}
        assert fine.job is None
        told.gate.set()

        assert fine.answer()["status"] in ("queued", "processing", "completed")
        answer = refused.answer()
        assert (answer["status"], answer["errors"]) == ("error", ["CALLBACK_FAILED: the callback answered 500"])
        ended = platform.ended(fine.job["job_id"])
        kinds = [kind for kind, _ in ended.events]
        assert ended.status == "completed" and kinds[:3] == ["submitted", "callback", "started"]
        assert [kind for kind, _ in platform.events(answer["job_id"])] == ["submitted", "callback", "status"]
        callback.stop()


def test_what_happens_to_a_job_meanwhile_stays(told):
    """Cancelled, or done, while the callback is asked: its answer changes nothing of that."""
    with Dev(callback_url=told.url) as dev:
        told.gate.clear()
        told.statuses += [204, 500]
        callback = Callback(dev.platform)
        ids = [dev.job() for _ in range(2)]
        until(lambda: told.bodies)
        dev.ask("PUT", f"/jobs/{ids[0]}", {"by": "the callback"})
        dev.ask("POST", f"/jobs/{ids[1]}/cancel", {})
        told.gate.set()
        until(lambda: dev.said().count("callback") == 2)
        callback.stop()

        assert [status_of(dev, job_id) for job_id in ids] == ["completed", "cancelled"]


def test_the_same_submission_waits_for_the_same_answer(told):
    """An Idempotency-Key that comes again is not answered before the callback was."""
    with Dev(callback_url=told.url) as dev:
        told.gate.clear()
        told.statuses.append(500)
        callback = Callback(dev.platform)
        waiting = [dev.ask("POST", "/jobs", {}, wait=True, Idempotency_Key="k") for _ in range(2)]
        assert [held.ask(False) for held in waiting] == [None, None]
        told.gate.set()
        until(lambda: dev.said().count("status") == 1)
        callback.stop()

        answers = [json.loads(held.ask(False).body) for held in waiting]
        assert answers[0] == answers[1] and answers[0]["status"] == "error"
        assert len(told.bodies) == 1


def test_what_was_not_told_when_the_server_ended_is_told_at_the_next_start(tmp_path, told):
    """Kept and waiting, however the server ended; and it runs if nobody is to be asked any more."""
    with Dev(tmp_path, callback_url=told.url) as dev:
        ids = [dev.job({"n": number}) for number in range(2)]
        assert dev.do(lambda tx: changes.claim(tx, 60)) is None

    with Dev(tmp_path, callback_url=told.url) as dev:
        told.statuses += [204, 500]
        callback = Callback(dev.platform)
        until(lambda: len(dev.said()) == 3)
        callback.stop()
        assert [body[2]["job_id"] for body in told.bodies] == ids
        assert [status_of(dev, job_id) for job_id in ids] == ["queued", "error"]
        assert dev.do(lambda tx: changes.claim(tx, 60)).attempt.job_id == ids[0]
        assert dev.do(lambda tx: changes.claim(tx, 60)) is None


def test_nobody_waits_for_a_callback_that_is_there_no_more(tmp_path, told):
    """Started without one: what waited for it runs."""
    with Dev(tmp_path / ".seekapi", callback_url=told.url) as dev:
        job_id = dev.job({"n": 1})

    with running(tmp_path, HANDLER) as platform:
        assert platform.ended(job_id).pushes == [{"n": 1}]


def test_a_disk_that_is_full_is_asked_again_and_the_callback_is_not(told, monkeypatch):
    """What it has answered is written down once there is room."""
    monkeypatch.setattr(callbacks, "RETRY_S", 0.01)
    release, tries = changes.release, []

    def full_at_first(tx, **more):
        tries.append(1)
        if len(tries) < 3:
            raise NotStored("the disk is full")
        release(tx, **more)

    monkeypatch.setattr(changes, "release", full_at_first)
    with Dev(callback_url=told.url) as dev:
        callback = Callback(dev.platform)
        dev.job()
        until(lambda: "callback" in dev.said())
        callback.stop()

    assert len(told.bodies) == 1 and len(tries) == 3


def test_an_end_in_between_is_heard(told):
    """One that comes while the thread has looked whether it is to stop, and has not begun to wait."""

    class JustLooked(threading.Event):
        def is_set(self):
            was_set = super().is_set()
            self.set()
            callback._news.set()
            return was_set

    with Dev(callback_url=told.url) as dev:
        callback = Callback(dev.platform)
        callback._stopping = JustLooked()
        callback._news.set()
        callback._thread.join(LIMIT_S)

        assert not callback._thread.is_alive()
        callback.stop()


def test_a_callback_that_is_not_there(told):
    """Refused, or silent until time is up: the same, and whoever waits behind it is told all the same."""
    with socket.socket() as silent, Dev(callback_url="http://127.0.0.1:1/") as dev:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dev.platform.options.callback_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        callback = Callback(dev.platform, timeout_s=0.05)
        ids = [dev.job() for _ in range(2)]
        until(lambda: all(status_of(dev, job_id) == "error" for job_id in ids))
        callback.stop()

        assert dev.ask("GET", f"/jobs/{ids[0]}/result").json()["error"]["code"] == "CALLBACK_FAILED"


def test_a_callback_that_drips_has_an_end(told):
    """The limit is one for the whole call, however often a byte comes."""
    stop = threading.Event()

    def drip(listener):
        with listener.accept()[0] as peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.01):
                try:
                    peer.sendall(b"X: y\r\n"[:1])
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener,), daemon=True)
        dripping.start()
        with Dev(callback_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as dev:
            callback = Callback(dev.platform, timeout_s=0.2)
            job_id = dev.job()
            until(lambda: status_of(dev, job_id) == "error")
            callback.stop()
        stop.set()
        dripping.join()


@pytest.mark.parametrize(
    "url",
    ["", "x", "file:///etc/passwd", "http://u:p@host/", "http://h/?a=b", "ftp://h", "http://h:0", "http://h:99999/"],
)
def test_a_url_that_cannot_be_called_is_refused_at_the_start(url):
    """ConfigurationError, without the value."""
    with Dev(callback_url=url) as dev, pytest.raises(ConfigurationError) as caught:
        Callback(dev.platform)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a..b/x", f"http://{'x' * 70}.example/"])
def test_what_no_connection_can_be_made_to_is_refused_at_the_start(url):
    """A host that is no name: said with what is wrong."""
    with Dev(callback_url=url) as dev, pytest.raises(ConfigurationError, match="--callback has a host that"):
        Callback(dev.platform)


def test_whatever_goes_wrong_with_one_job_the_next_is_told(told, monkeypatch):
    """What nobody has thought of makes the job an error, and the thread goes on."""
    tell, calls = Callback._tell, []

    def broken(callback, job):
        calls.append(job)
        return tell(callback, job) if len(calls) > 1 else [][0]

    monkeypatch.setattr(Callback, "_tell", broken)
    with Dev(callback_url=told.url) as dev:
        callback = Callback(dev.platform)
        first, second = dev.job(), dev.job()
        until(lambda: len(told.bodies) == 1)
        callback.stop()
        dev.said()

        job = dev.ask("GET", f"/jobs/{first}").json()
        assert job["errors"] == ["CALLBACK_FAILED: the callback could not be called (IndexError)"]
        assert [body[2]["job_id"] for body in told.bodies] == [second]

"""Somebody is told of each new job: a true HTTP server on the other side."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devserver.platforms import Dev
from devserver.served import until
from seekapi._devserver.callback import Callback
from seekapi.errors import ConfigurationError


class Told:
    """A server that keeps what it was told, and answers with the statuses that it was given."""

    def __init__(self):
        self.bodies, self.statuses = [], []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.bodies.append((self.path, self.headers["Content-Type"], json.loads(body)))
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
    """The submitter has its 201; then the job says why, and a redirect is not followed."""
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


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://u:p@host/", "http://host/?a=b", "ftp://host"])
def test_a_url_that_cannot_be_called_is_refused_at_the_start(url):
    """ConfigurationError, without the value."""
    with Dev(callback_url=url) as dev, pytest.raises(ConfigurationError) as caught:
        Callback(dev.platform)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    "url, told",
    [
        ("http://127.0.0.1:99999/", "port"),
        ("https://localhost:0", "port"),
        ("http://a..b/x", "host"),
        (f"http://{'x' * 70}.example/", "host"),
    ],
)
def test_what_no_connection_can_be_made_to_is_refused_at_the_start(url, told):
    """A port that is none, a host that is no name: said with what is wrong."""
    with Dev(callback_url=url) as dev, pytest.raises(ConfigurationError, match=f"--callback has a {told} that"):
        Callback(dev.platform)


def test_whatever_goes_wrong_with_one_job_the_next_is_told(told, monkeypatch):
    """What nobody has thought of makes the job an error, and the thread goes on."""
    tell, calls = Callback._tell, []

    def broken(callback, job_id):
        calls.append(job_id)
        return tell(callback, job_id) if len(calls) > 1 else [][0]

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

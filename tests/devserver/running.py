"""A whole platform with a worker, in this process: what the tests of the runner share."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import seekapi as package
from seekapi._devserver import records
from seekapi._devserver.platform import Options, Platform
from seekapi._devserver.runner import Runner
from seekapi._devserver.serve import Server
from seekapi._devserver.store import Store
from seekapi._devserver.workers import Worker

LIMIT_S = 30
PARENT = Path(package.__file__).resolve().parents[1]
_NOT_INHERITED = ("SEEKAPI_", "WORKER_", "AWS_", "PYTHON", "http_proxy", "HTTP_PROXY")


class Running:
    """A platform that is up; asked over HTTP, and looked into through its record."""

    def __init__(self, platform, runner):
        self.platform = platform
        self.runner = runner
        self.store = platform.store

    def submit(self, job_input=None):
        """A new job's id."""
        return self.ask("POST", "/jobs", {} if job_input is None else job_input)["job_id"]

    def run(self, job_input=None):
        """A job from its beginning to its end."""
        return self.ended(self.submit(job_input))

    def ended(self, job_id):
        """The job, once it has ended."""
        self.until(lambda: self.job(job_id).is_final, job_id)
        return Ended(self, job_id)

    def job(self, job_id):
        with self.store.read() as reader:
            return records.job_of(reader, job_id)

    def events(self, job_id, *kinds):
        """What happened to it: (kind, data), in order."""
        with self.store.read() as reader:
            number = records.job_of(reader, job_id).job_number
            found = records.events_after(reader, 0, job_number=number, kinds=kinds, limit=100_000)
        return [(event.kind, event.data) for event in found]

    def until(self, condition, job_id=None):
        """Wait for what a worker brings about."""
        ends_at = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < ends_at, self.events(job_id) if job_id else "it never came"
            time.sleep(0.005)

    def until_printed(self, job_id, text):
        """Until the job has printed a line with this text; the line."""
        self.until(lambda: any(text in data["message"] for _, data in self.events(job_id, "log")), job_id)
        return next(data["message"] for _, data in self.events(job_id, "log") if text in data["message"])

    def ask(self, method, path, body=None):
        """What the platform answers; a refusal is an error."""
        request = urllib.request.Request(self.platform.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.code}: {error.read()!r}") from None


class Ended:
    """How a job ended, and what it left."""

    def __init__(self, running, job_id):
        job = running.job(job_id)
        self.job_id = job_id
        self.status = job.status
        self.error = json.loads(job.fault_json) if job.fault_json else None
        self.events = running.events(job_id)

    def of(self, *kinds):
        return [data for kind, data in self.events if kind in kinds]

    @property
    def pushes(self):
        return [data["data"] for data in self.of("push")]

    def log(self, *sources):
        return [data["message"] for data in self.of("log") if data["source"] in sources]


def environ_of(platform, **more):
    """What `seekapi dev` gives to a worker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return {
        **kept,
        "PYTHONPATH": str(PARENT),
        "WORKER_API_BASE_URL": platform.url,
        "WORKER_INTERNAL_SECRET": platform.secret,
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        **more,
    }


@contextlib.contextmanager
def running(
    folder, source=None, *, target="worker.py", concurrency=1, timeout_s=30.0, environ=None, python=None, **options
):
    """A platform in `folder`, with the worker of this source."""
    folder = Path(folder)
    if source is not None:
        (folder / target).write_text(textwrap.dedent(source), encoding="utf-8")
    data_dir = folder / ".seekapi"
    with Store(data_dir) as store:
        platform = Platform(
            store,
            Options(data_dir=data_dir, timeout_s=timeout_s, **options),
            secret=secrets.token_hex(16),
            api_key=secrets.token_hex(16),
            now=time.time,
            clock=time.monotonic,
        )
        server = Server(platform, tell=lambda text: None)
        server.listen()
        worker = Worker(
            str(folder / target),
            "handler",
            is_file=True,
            python=python or [sys.executable],
            environ=environ_of(platform, **(environ or {})),
        )
        runner = platform.runner = Runner(platform, worker, concurrency=concurrency)
        with server:
            runner.start()
            try:
                yield Running(platform, runner)
            finally:
                runner.stop(grace_s=0)

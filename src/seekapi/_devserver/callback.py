"""Tell somebody of each new job: `--callback URL`.

In the field this is a function inside the service. Here it is a URL, because the service is a process of its own: a
POST of `{"job_id", "job_definition"}`, the second being the Job object, once the job is on the disk. Jobs are told in
the order in which they came, one after the other. An answer that is not 2xx, or none in time, makes the job an error,
as an exception of the function does there. What was not told when the server ends is not told later.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from functools import partial
from queue import SimpleQueue
from urllib.parse import SplitResult, urlsplit

from .._protocol import routes
from ..errors import ConfigurationError
from . import changes, records
from .job_answers import shown, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .app import Platform
    from .store import Event, Transaction

log = logging.getLogger("seekapi.dev")

TIMEOUT_S = 10.0


class Callback:
    """Calls `platform.options.callback_url` from a thread of its own, until `stop()`. Raises ConfigurationError."""

    def __init__(self, platform: Platform, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = _checked(platform.options.callback_url)
        self._platform = platform
        self._timeout_s = timeout_s
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._is_stopping = False
        self._unsubscribe = platform.store.subscribe(self._happened)
        self._thread = threading.Thread(target=self._run, name="seekapi-callback", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Comes back when the call that is under way has ended; those that wait are not made."""
        self._unsubscribe()
        self._is_stopping = True
        self._waiting.put(None)
        self._thread.join()

    def _happened(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "submitted":
                self._waiting.put(event.job_id)

    def _run(self) -> None:
        while True:
            job_id = self._waiting.get()
            if job_id is None or self._is_stopping:
                return
            try:
                fault = self._tell(job_id)
            except Exception as error:  # The next job is told all the same.
                log.exception("a job could not be told of")
                fault = f"the callback could not be called ({type(error).__name__})"
            if fault:
                self._platform.store.post(partial(_fail, job_id, fault), _nobody_waits)

    def _tell(self, job_id: str) -> str:
        """What went wrong, in words that hold nothing of the answer; "" for nothing."""
        with self._platform.store.read() as reader:
            job = records.job_of(reader, job_id)
        if job is None:
            return ""
        definition = shown(job, zone_of(self._platform))
        body = json.dumps({"job_id": job_id, "job_definition": definition}).encode("ascii")
        is_https = self._url.scheme.lower() == "https"
        make = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
        connection = make(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
        # The connection's own limit is one for each wait; somebody who sends a byte at a time would have for ever.
        is_late = threading.Event()
        watchdog = threading.Timer(self._timeout_s, _cut, (connection, is_late))
        watchdog.start()
        try:
            connection.request("POST", self._url.path or "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            return f"the callback was not reached ({type(error).__name__})"
        finally:
            watchdog.cancel()
            connection.close()
        if is_late.is_set():
            return "the callback did not answer in time"
        return "" if 200 <= answer.status < 300 else f"the callback answered {answer.status}"


def _checked(text: str) -> SplitResult:
    """The URL, in parts that a connection can be made to. Raises ConfigurationError, without the value."""
    if not routes.is_base_url(text):
        raise ConfigurationError("--callback is not an http or https URL without user, query or fragment")
    url, reason = urlsplit(text), ""
    try:
        (url.hostname or "").encode("idna")
    except UnicodeError:
        reason = "a host that is no host name: a part of it is empty, or longer than 63 characters"
    try:
        is_port = url.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        reason = "a port that is none: expected 1 to 65535"
    if reason:
        raise ConfigurationError(f"--callback has {reason}")
    return url


def _cut(connection: http.client.HTTPConnection, is_late: threading.Event) -> None:
    is_late.set()
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # It has ended by itself.
        pass


def _fail(job_id: str, fault: str, tx: Transaction) -> None:
    job = records.job_of(tx, job_id)
    if job is not None:
        changes.fail(tx, job, "CALLBACK_FAILED", fault)


def _nobody_waits(value: object, error: BaseException | None) -> None:
    """The job is as it was."""

"""Tell somebody of each new job: `--callback URL`.

In the field this is a function inside the service. Here it is a URL, because the service is a process of its own: a
POST of `{"job_id", "job_definition"}`, the second being the Job object, once the job is on the disk. Jobs are told in
the order in which they came, one after the other. An answer that is not 2xx, or none in time, makes the job an error,
as an exception of the function does there. Until then no worker gets the job, and who submitted it waits for the 201.

Who is to be told is read from the record: what was not told when the server ended is told at the next start, and what
it ended in the middle of is told again.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from functools import partial
from urllib.parse import SplitResult, urlsplit

from .._protocol import routes
from ..errors import ConfigurationError
from . import changes, records
from .database import NotStored, RecordGone
from .job_answers import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .platform import Platform
    from .records import JobRow
    from .transactions import Event

log = logging.getLogger("seekapi.dev")

TIMEOUT_S = 10.0
# A record that takes nothing is asked again.
RETRY_S = 1.0


class Callback:
    """Calls `platform.options.callback_url` from a thread of its own, until `stop()`. Raises ConfigurationError."""

    def __init__(self, platform: Platform, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = _checked(platform.options.callback_url)
        self._platform = platform
        self._timeout_s = timeout_s
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._unsubscribe = platform.store.subscribe(self._happened)
        self._thread = threading.Thread(target=self._run, name="seekapi-callback", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Comes back when the call that is under way has ended; those that wait are made at the next start."""
        self._unsubscribe()
        self._stopping.set()
        self._news.set()
        self._thread.join()

    def _happened(self, events: list[Event]) -> None:
        """On the store's thread."""
        if any(event.kind == "submitted" for event in events):
            self._news.set()

    def _run(self) -> None:
        while True:
            # Before anything is looked at: what comes after the look rings again, and so does stop().
            self._news.clear()
            if self._stopping.is_set():
                return
            try:
                job = self._next()
                if job is not None:
                    self._settle(job, self._reason_against(job))
                else:
                    self._news.wait()
            except RecordGone:
                return  # The store has said so.
            except Exception as error:
                log.error("the callback waits: %s", error)
                self._stopping.wait(RETRY_S)

    def _next(self) -> JobRow | None:
        with self._platform.store.read() as reader:
            return records.next_untold(reader)

    def _settle(self, job: JobRow, reason: str) -> None:
        """Write the answer down; a disk that is full is asked again, rather than whoever has answered."""
        while True:
            try:
                self._platform.store.submit(partial(changes.release, job_id=job.job_id, reason=reason)).result()
                return
            except RecordGone:
                raise
            except NotStored as error:
                log.error("what the callback said of job %s cannot be written: %s", job.job_id, error)
                if self._stopping.wait(RETRY_S):
                    return

    def _reason_against(self, job: JobRow) -> str:
        """Why the job has failed, in words that hold nothing of the answer; "" if the callback has agreed to it."""
        try:
            return self._tell(job)
        except Exception as error:  # The next job is told all the same.
            log.exception("a job could not be told of")
            return f"the callback could not be called ({type(error).__name__})"

    def _tell(self, job: JobRow) -> str:
        definition = shown(job, self._platform.options.zone)
        body = json.dumps({"job_id": job.job_id, "job_definition": definition}).encode("ascii")
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
        raise ConfigurationError(
            "--callback is not an http or https URL without user, query or fragment (a port is from 1 to 65535)"
        )
    url = urlsplit(text)
    try:
        (url.hostname or "").encode("idna")
    except UnicodeError:
        pass
    else:
        return url
    raise ConfigurationError(
        "--callback has a host that is no host name: a part of it is empty, or longer than 63 characters"
    )


def _cut(connection: http.client.HTTPConnection, is_late: threading.Event) -> None:
    is_late.set()
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # It has ended by itself.
        pass

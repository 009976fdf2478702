"""A platform without sockets: the true store and the true routes, asked with plain calls."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from seekapi._devserver import changes, inputs
from seekapi._devserver.access import Access
from seekapi._devserver.app import App, by_name, routes
from seekapi._devserver.exchange import Answer, Later
from seekapi._devserver.platform import Options, Platform
from seekapi._devserver.store import Store
from seekapi._protocol.http1 import END, NEED_DATA, RequestReader

SECRET = "the-internal-secret"
API_KEY = "0123456789abcdef0123456789abcdef"
# Only against hanging; nothing here is expected to take that long.
LIMIT_S = 30
NOON = 1_795_348_800.0


class Runner:
    """What the views may ask of a runner."""

    def __init__(self, input_schema=None, settings_schema=None):
        self.input_schema = input_schema
        self.settings_schema = settings_schema


class Clock:
    """The wall clock, which goes only where it is put."""

    def __init__(self, at=NOON):
        self.at = at

    def __call__(self):
        return self.at


class Dev:
    """A platform whose record is in `folder` (None: ephemeral)."""

    def __init__(self, folder=None, *, runner=None, secret=SECRET, **options):
        self.clock = Clock()
        self.store = Store(folder, now=self.clock)
        self.events = []
        self.store.subscribe(self.events.extend)
        self.platform = Platform(
            self.store,
            Options(data_dir=self.store.folder, **options),
            secret=secret,
            api_key=API_KEY,
            now=self.clock,
            clock=self.clock,
            runner=runner,
        )
        self.platform.url = "http://127.0.0.1:8788"
        access = Access(port=8788, secret=secret, api_key=API_KEY, basic_auth=options.get("basic_auth"))
        self.app = App(self.platform, routes(), access)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.store.close()

    def ask(self, method, target, body=None, *, wait=False, **headers):
        """A request as the server would take it; a dict or list travels as JSON. `wait`: a long poll to its end."""
        fields = {"Host": "127.0.0.1:8788"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        fields["Content-Length"] = str(len(body or b""))
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [
            f"{method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in fields.items() if value is not None),
        ]
        reader = RequestReader()
        reader.feed("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        head, pieces = reader.next_event(), []
        while (event := reader.next_event()) is not END:
            assert event is not NEED_DATA
            pieces.append(event)
        try:
            return self._answer(head, pieces, wait)
        except Exception as error:
            return Seen(self.app.refused(error, head.target))

    def _answer(self, head, pieces, wait):
        opened = self.app.open(head, by_name(head.headers))
        if isinstance(opened, Answer):
            return Seen(opened)
        route, request = opened
        receiver = route.receiver(self.platform, request) if route.receiver else None
        try:
            if receiver is not None:
                for piece in pieces:
                    receiver.feed(piece)
                request.body = receiver.finish()
            else:
                request.body = b"".join(pieces)
            if route.writes:
                answer = self.store.submit(lambda tx: route.handler(self.platform, request, tx)).result(LIMIT_S)
            else:
                answer = route.handler(self.platform, request)
            if isinstance(answer, Later):
                held = answer
                answer = held.ask(False)
                while answer is None and wait is False:
                    answer = held.ask(True)
                if answer is None:
                    return held
            return Seen(answer)
        finally:
            if receiver is not None:
                receiver.discard()

    def worker(self, job_id, action, body, **headers):
        """A call of the worker API; the secret is the right one unless another is given."""
        headers = {"X_Internal_Secret": SECRET, **headers}
        return self.ask("POST", f"/v1/internal/jobs/{job_id}/{action}", body, **headers)

    def job(self, payload=None, **headers):
        """Submit; the id."""
        seen = self.ask("POST", "/jobs", {} if payload is None else payload, **headers)
        assert seen.status == 201, seen.body
        return seen.json()["job_id"]

    def started(self, payload=None, timeout_s=60.0, **headers):
        """Submit and begin; what the runner gets."""
        self.job(payload, **headers)
        return self.do(lambda tx: changes.claim(tx, timeout_s))

    def do(self, work):
        """A work on the store, to its end."""
        return self.store.submit(work).result(LIMIT_S)

    def said(self, job_id=None):
        """The kinds of the events so far."""
        self.do(lambda tx: None)
        return [event.kind for event in self.events if job_id in (None, event.job_id)]

    def input_url(self, claimed, expires_at=NOON + 60):
        """The target of the presigned URL, without the origin."""
        return inputs.url_of(self.platform, claimed.attempt.id, expires_at).removeprefix(self.platform.url)


class Seen:
    """An answer."""

    def __init__(self, answer):
        self.status = answer.status
        self.headers = dict(answer.headers)
        self.content_type = answer.content_type
        self.raw = answer
        self.body = answer.body if isinstance(answer.body, bytes) else b""

    def json(self):
        return json.loads(self.body)

    def file(self):
        """The body that is a file."""
        with self.raw.body.open() as file:
            return file.read()

    @property
    def code(self):
        """Of a refusal of the worker API."""
        assert self.json()["ok"] is False
        return self.json()["error"]["code"]


def form(
    token, name, content, *, file_type="text/plain", boundary="----WorkerSDKBoundary0123456789abcdef", filename=None
):
    """What 1.0.5 sends: body and Content-Type."""
    shown = name if filename is None else filename
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="execution_token"\r\n\r\n{token}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n'
        f"Content-Type: {file_type}\r\n\r\n"
    )
    body = head.encode("utf-8") + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def files_of(store: Store) -> list[str]:
    """The names in the folder of files."""
    return sorted(path.name for path in Path(store.files).iterdir())


def threads_of(name):
    """The threads that are still there."""
    return [thread for thread in threading.enumerate() if thread.name == name]

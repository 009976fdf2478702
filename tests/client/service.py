"""A job-state service as it is met in the field, broken parts and all, over real sockets.

The facts were seen on the wire of the original: two 422 shapes, 404 as the bare URL, a link to the next page that drops
prefix and filters and (`repeats_next`) leads to the same page again, several job ids of which one counts, PATCH of the
settings that resets what it does not name, no route below a job.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

STATUSES = ("pending", "queued", "validating", "processing", "completed", "error", "cancelled")
TOKYO = timezone(timedelta(hours=9))
FIRST_SECOND = 1_795_358_348


class Service:
    """`with Service() as service: service.url`. `requests` is what was asked: (method, target, headers, body)."""

    def __init__(
        self,
        *,
        prefix: str = "",
        login: str = "",
        has_settings: bool = True,
        repeats_next: bool = False,
        old_fork: bool = False,
    ) -> None:
        self.prefix = prefix
        self.login = login
        self.has_settings = has_settings
        self.repeats_next = repeats_next
        self.old_fork = old_fork
        self.jobs: list[dict[str, Any]] = []
        self.defaults = {"label": "first", "adjust": 0.5}
        self.settings = dict(self.defaults)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        # Called for each GET of one job, before it is answered.
        self.on_get: Any = lambda job: None
        service = self

        class Handler(_Handler):
            of = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{prefix}"

    def __enter__(self) -> Service:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def moment(self, age: int = 0) -> str:
        return datetime.fromtimestamp(FIRST_SECOND + age, TOKYO).isoformat(timespec="seconds")

    def add(self, payload: dict[str, Any], status: str = "queued") -> dict[str, Any]:
        now = self.moment(len(self.jobs))
        job = {
            "job_id": str(uuid.uuid4()),
            "registered_datetime": now,
            "updated_datetime": now,
            "completed_datetime": None,
            "status": status,
            "errors": None,
            "warnings": None,
            "result_count": 0,
            "settings": None,
            "request_payload": payload,
            "response_payload": None,
        }
        if self.old_fork:
            for name in ("errors", "warnings", "result_count", "settings", "response_payload"):
                del job[name]
        self.jobs.append(job)
        return job

    def find(self, job_id: str) -> dict[str, Any] | None:
        return next((job for job in self.jobs if job["job_id"] == job_id), None)

    def paths(self) -> list[str]:
        """`GET /jobs/...` of each request."""
        return [f"{method} {target}" for method, target, _, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is one segment.
    wbufsize = -1
    disable_nagle_algorithm = True
    of: Service

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = self.of
        with service.lock:
            service.requests.append((self.command, self.path, dict(self.headers.items()), body))
            answer = self._answer(body)
        self._send(*answer)

    do_GET = do_POST = do_PUT = do_PATCH = _serve

    def _send(self, status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> None:
        is_json = not isinstance(body, bytes)
        raw = (json.dumps(body, indent=2, sort_keys=True) + "\n").encode() if is_json else body
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if is_json else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Access-Control-Allow-Origin", "*")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _answer(self, body: bytes) -> tuple[Any, ...]:
        service = self.of
        url = urlsplit(self.path)
        if service.login:
            expected = "Basic " + base64.b64encode(service.login.encode()).decode()
            if self.headers.get("Authorization") != expected:
                return 401, b"", (("WWW-Authenticate", 'Basic realm=""'),)
        route = url.path.removeprefix(service.prefix).split("/")[1:] if url.path.startswith(service.prefix) else []
        query = parse_qsl(url.query, keep_blank_values=True)
        if route == ["jobs"] and self.command == "GET":
            return self._list(query)
        if route == ["jobs"] and self.command == "POST":
            return self._submit(_decoded(body))
        if len(route) == 2 and route[0] == "jobs":
            return self._one(unquote(route[1]), _decoded(body))
        if route == ["settings"] and service.has_settings:
            return self._settings(_decoded(body))
        if route == ["healthcheck"]:
            return 200, {"status": "OK"}
        return 404, self.path.encode()

    def _submit(self, payload: Any) -> tuple[Any, ...]:
        if not isinstance(payload, dict):
            return 422, [_problem("model_type", [], "Input should be a valid dictionary or instance of RequestModel")]
        if "name" not in payload:
            return 422, [_problem("missing", ["name"], "Field required")]
        if payload["name"] == "refused by the transform":
            return 422, {"message": "invalid input: name is taken"}
        return 201, self.of.add(payload)

    def _list(self, query: list[tuple[str, str]]) -> tuple[Any, ...]:
        last = dict(query)
        ids = [value for name, value in query if name == "job_id"]
        if any("," in value for value in ids):
            return 422, [_problem("list_type", ["job_id"], "Input should be a valid list")]
        if ids:
            job = self.of.find(ids[0])
            return 200, {"Jobs": [job] if job else []}, (("X-Next", ""),)
        if last.get("status", STATUSES[0]) not in STATUSES:
            return 422, [_problem("enum", ["status"], "Input should be 'pending' or ...")]
        limit = int(last.get("limit", 250))
        if not 50 <= limit <= 500:
            return 422, [_problem("greater_than_equal", ["limit"], "Input should be greater than or equal to 50")]
        rows = [job for job in reversed(self.of.jobs) if last.get("status") in (None, job["status"])]
        for name, fits in (("gte", 1), ("lte", -1)):
            text = last.get(f"registered_datetime_{name}")
            if text is not None:
                edge = datetime.fromisoformat(text)
                rows = [row for row in rows if fits * (_registered(row) - edge) >= timedelta()]
        start = int(last.get("ekey", "0"))
        following = "" if start + limit >= len(rows) else f"/jobs?ekey={start + limit}&limit={limit}"
        if self.of.repeats_next and "ekey" in last:
            following = f"/jobs?ekey={start}&limit={limit}"
        return 200, {"Jobs": rows[start : start + limit]}, (("X-Next", following),)

    def _one(self, job_id: str, body: Any) -> tuple[Any, ...]:
        job = self.of.find(job_id)
        if self.command not in ("GET", "PATCH", "PUT"):
            return 405, b"<!doctype html><title>405 Method Not Allowed</title>"
        if job is None:
            return 404, {"message": f"job_id({job_id}) not found"}
        if self.command == "GET":
            self.of.on_get(job)
            return 200, job
        if self.command == "PUT":
            job.update(response_payload=body, status="completed", completed_datetime=self.of.moment(999))
            job["result_count"] = body.get("result_count", 0) if isinstance(body, dict) else 0
            return 200, job
        if body.get("status") not in STATUSES:
            return 422, [_problem("enum", ["status"], "Input should be 'pending' or ...")]
        for name in ("errors", "warnings"):
            job[name] = (job.get(name) or []) + body.get(name, [])
        job["status"] = body["status"]
        return 202, job

    def _settings(self, body: Any) -> tuple[Any, ...]:
        service = self.of
        if self.command == "GET":
            return 200, {**service.settings, "updated_datetime": None}
        if set(body) - set(service.defaults):
            return 422, [_problem("extra_forbidden", [name], "Extra inputs are not permitted") for name in body]
        service.settings = {**service.defaults, **body}
        return 202, {**service.settings, "updated_datetime": None}


def _registered(job: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(job["registered_datetime"])


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _problem(kind: str, where: list[str], text: str) -> dict[str, object]:
    return {"type": kind, "loc": where, "msg": text, "input": {}, "url": "https://errors.example/x"}

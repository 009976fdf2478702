"""The app: from the head of a request to the route that takes it, and from whatever happened to an answer. No sockets.

The order of the questions is the defence: who asks, for what, with which kind of body, all of it before a byte of the
body is read and before the store hears of it.
"""

from __future__ import annotations

import errno
import logging
import os

from .._protocol.routes import WORKER_PATHS
from .access import FORM_TYPES
from .database import NotStored, RecordGone
from .exchange import JSON, Answer, Incoming, Refusal, Route, percent_decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._protocol.http1 import RequestHead
    from .access import Access
    from .platform import Platform

log = logging.getLogger("seekapi.dev")

# The modules that have ROUTES.
FEATURES = ("worker_api", "inputs", "jobs", "job_views", "settings", "openapi", "static", "workers", "faults")
# A body that no route asked for is read and dropped up to here, so that the connection can be used again.
UNWANTED_BYTES = 64 * 1024
# Those that two readers could understand differently if they came twice.
_ONCE = frozenset(
    ("host", "origin", "sec-fetch-site", "content-type", "content-encoding", "authorization", "x-internal-secret")
)
# Keys of the route table that are no segment of any path.
_EMPTY, _NAME, _METHODS = "/", "/{}", "/methods"
_FULL_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))


class RouteTable:
    """Which route takes a path: segment by segment, a literal one before a `{name}`."""

    def __init__(self, routes: Iterable[Route], prefix: str = "") -> None:
        self._root: dict[str, Any] = {}
        self.routes = tuple(routes)
        for route in self.routes:
            self._add(route, (prefix if route.prefixed else "") + route.path)

    def find(self, path: str) -> tuple[dict[str, Route], list[str]]:
        """The routes of `path` by method, none if it is not served, and what stands for their names, still encoded."""
        node, values = self._root, []
        for segment in path.split("/")[1:]:
            child = node.get(segment or _EMPTY)
            if child is None and segment:
                child = node.get(_NAME)
                values.append(segment)
            if child is None:
                return {}, []
            node = child
        return node.get(_METHODS, {}), values

    def _add(self, route: Route, path: str) -> None:
        node = self._root
        for segment in path.split("/")[1:]:
            node = node.setdefault(_NAME if segment.startswith("{") else segment or _EMPTY, {})
        methods = node.setdefault(_METHODS, {})
        assert route.method not in methods, f"{route.method} {path} is there twice"
        methods[route.method] = route


class App:
    """All routes of one server, behind its rules of access."""

    def __init__(self, platform: Platform, routes: Iterable[Route], access: Access) -> None:
        self.platform = platform
        self.access = access
        self.table = RouteTable(routes, platform.options.prefix)

    def open(self, head: RequestHead, named: dict[str, str]) -> tuple[Route, Incoming] | Answer:
        """Before the body is read: the route and what it will be given, or an answer that needs neither.

        `named` is what `by_name` made of the head. Raises Refusal: 400, 401, 403, 404, 405, 413 or 415.
        """
        if not head.target.startswith("/"):
            raise Refusal(400, "INVALID_REQUEST", "the request target is not a path")
        self.access.check_origin(named)
        path, _, query_text = head.target.partition("?")
        methods, values = self.table.find(path)
        request = Incoming(head.method, path, query_text, head.headers)
        route = methods.get(head.method) or (methods.get("GET") if head.method == "HEAD" else None)
        token = request.query.first("token") if "token=" in query_text else ""
        asks_for_methods = route is None and head.method == "OPTIONS"
        about = None if asks_for_methods else route or next(iter(methods.values()), None)
        self.access.check_caller(about, named, token)
        if route is None:
            return self._without_route(head.method, methods)
        if token and route.auth == "page" and self.access.is_token(token):
            return _let_in(path, self.access.cookie())
        _check_body(route, named)
        if values:
            request.params = {name: percent_decoded(value) for name, value in zip(route.names, values, strict=True)}
        return route, request

    def refused(self, error: BaseException, path: str) -> Answer:
        """What the caller is told about `error`; what it is not told goes to the log."""
        if isinstance(error, Refusal):
            return shaped(error, path)
        if isinstance(error, NotStored) or (isinstance(error, OSError) and error.errno in _FULL_DISK):
            if not isinstance(error, RecordGone):
                log.error("answered 507: %s", _one_line(str(error)))
            reason = str(error) if isinstance(error, NotStored) else "the disk is full or broken: nothing was kept"
            return shaped(Refusal(507, "INSUFFICIENT_STORAGE", reason), path)
        crash_id = os.urandom(4).hex()
        log.error("crash %s at %s\n%s", crash_id, path, self._traceback(error))
        return shaped(Refusal(500, "INTERNAL_ERROR", f"the server has a bug: look for {crash_id} in its log"), path)

    def _without_route(self, method: str, methods: dict[str, Route]) -> Answer:
        if not methods:
            raise Refusal(404, "NOT_FOUND", "there is nothing at this path")
        allowed = {"OPTIONS", *methods, *(["HEAD"] if "GET" in methods else [])}
        allow = (("Allow", ", ".join(sorted(allowed))),)
        if method == "OPTIONS":
            return Answer(200, headers=allow)
        raise Refusal(405, "METHOD_NOT_ALLOWED", f"this path takes {allow[0][1]}", allow)

    def _traceback(self, error: BaseException) -> str:
        """All of it, for the log: without secrets, and without what moves a terminal's cursor."""
        from traceback import format_exception

        from .._redaction import Redactor

        text = "".join(format_exception(type(error), error, error.__traceback__))
        masked = Redactor([self.platform.secret, self.platform.api_key]).end(text, 16 * 1024)
        return "\n".join(_one_line(line) for line in masked.splitlines())


def routes() -> list[Route]:
    """The rows of every feature."""
    from importlib import import_module

    from . import faults

    modules = [import_module(f"{__package__}.{name}") for name in FEATURES]
    return [faults.faulty(route) for module in modules for route in module.ROUTES]


def shaped(refusal: Refusal, path: str) -> Answer:
    """A refusal in the words of the protocol that `path` belongs to."""
    if path.startswith(WORKER_PATHS):
        body: object = {"ok": False, "error": {"code": refusal.code, "message": refusal.message}}
    else:
        body = {"message": refusal.message}
    return Answer.json(body, refusal.status, refusal.headers)


def by_name(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The fields by their names in small letters. Raises Refusal if one that decides something is there twice."""
    named: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        if key not in named:
            named[key] = value
        elif key in _ONCE:
            raise Refusal(400, "INVALID_REQUEST", f"{key} is there twice")
        elif key == "cookie":
            named[key] += f"; {value}"
    return named


def _check_body(route: Route, named: dict[str, str]) -> None:
    """The kind of the body, by what the head says of it; what comes is counted all the same."""
    media = named.get("content-type", "").partition(";")[0].strip().lower()
    if route.media:
        if media != route.media:
            hint = "; also without a body: -H 'Content-Type: application/json'" if route.media == JSON else ""
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"Content-Type: {route.media} is expected{hint}")
        if named.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "a body with a Content-Encoding is not taken")
    elif media in FORM_TYPES and route.method not in ("GET", "HEAD"):
        # A form of another page could send it without being asked.
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "a form is not taken")
    if int(named.get("content-length", "0")) > (route.limit_bytes or UNWANTED_BYTES):
        raise too_large(route)


def too_large(route: Route) -> Refusal:
    """The refusal of a body beyond what `route` takes."""
    limit = route.limit_bytes or UNWANTED_BYTES
    return Refusal(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {limit} bytes")


def _let_in(path: str, cookie: str) -> Answer:
    """On to the same page without the token: it stays out of the address bar, the history and the Referer."""
    return Answer(303, headers=(("Location", path), ("Set-Cookie", cookie)))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

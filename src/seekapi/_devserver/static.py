"""The dashboard: one page and its files, each by its own name, and what it has to know of this server to begin with.

No path is made of what a request says: a name is looked up in a table of what lies beside this module.
"""

from __future__ import annotations

from pathlib import Path

from . import records, transactions
from .exchange import Answer, Refusal, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exchange import Incoming
    from .platform import Platform

_FOLDER = "pages"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Only what this server itself sends: no script or style inside a page, nothing from elsewhere, no page around ours.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def dashboard(platform: Platform, request: Incoming) -> Answer:
    """GET /: the page."""
    return file("index.html")


def static(platform: Platform, request: Incoming) -> Answer:
    """GET /static/{name}: what a page is made of."""
    return file(request.params["name"])


def about(platform: Platform, request: Incoming) -> Answer:
    """GET /about: the server's own names, and the number of the last event: from there one follows live."""
    with platform.store.read() as reader:
        seq = records.last_seq(reader)
    options = platform.options
    return Answer.json(
        {
            "title": options.title,
            "version": options.version,
            "prefix": options.prefix,
            "needs_token": options.needs_token,
            "seq": seq,
            "event_kinds": transactions.KINDS,
        }
    )


def file(name: str) -> Answer:
    """One of our own files. Raises Refusal (404)."""
    content = _contents().get(name)
    if content is None:
        raise Refusal(404, "NOT_FOUND", "there is no such file")
    # An older page beside a newer server would not know it: a browser asks again each time.
    headers = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-cache"))
    return Answer(200, content, _TYPES[Path(name).suffix], headers)


def _contents() -> dict[str, bytes]:
    """Every file of the pages by its name, read once."""
    if not _read:
        here = Path(__file__).parent
        paths = [path for path in (here / _FOLDER).iterdir() if path.suffix in _TYPES]
        _read.update({path.name: path.read_bytes() for path in paths})
    return _read


_read: dict[str, bytes] = {}

ROUTES = (
    Route("GET", "/", dashboard),
    Route("GET", "/static/{name}", static),
    Route("GET", "/about", about),
)

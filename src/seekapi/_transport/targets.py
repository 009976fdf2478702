"""Where a request goes: a URL taken apart, strictly. Pure.

`urllib.parse` forgives much (it strips line breaks, splits at the last `@`) and costs 12 ms of a cold start.
Nothing of a refused URL is in the error: it may be a presigned one.
"""

from __future__ import annotations

import re

from ..errors import ConnectError

LONGEST_URL = 16384

# Nearly every URL is one of these, and needs no second look; the rest is taken apart step by step.
_PLAIN_URL = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::([0-9]{1,5}))?(/[!\"$-~]*)")
_URL = re.compile(r"(?i)(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@%]+)(?::(\d{0,5}))?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DEFAULT_PORTS = {True: 443, False: 80}


class Target:
    """A checked http(s) URL: `secure`, `host` (lower case, no brackets), `port`, `path` (with query)."""

    __slots__ = ("authority", "host", "path", "port", "secure")

    def __init__(self, secure: bool, host: str, port: int, path: str) -> None:
        self.secure = secure
        self.host = host
        self.port = port
        self.path = path
        # The Host header; also how messages name the peer.
        self.authority = f"[{host}]" if ":" in host else host
        if port != _DEFAULT_PORTS[secure]:
            self.authority += f":{port}"

    def __repr__(self) -> str:
        return f"<Target {self.authority}>"


def target_of(url: str) -> Target:
    """The target of an absolute URL. Raises ConnectError, not retryable, without the URL."""
    plain = _PLAIN_URL.fullmatch(url) if isinstance(url, str) and len(url) <= LONGEST_URL else None
    if plain is not None:
        scheme, host, digits, path = plain.groups()
        secure = scheme == "https"
        port = int(digits) if digits else _DEFAULT_PORTS[secure]
        if 0 < port < 65536:
            return Target(secure, host, port, path)
    return _target_step_by_step(url)


def _target_step_by_step(url: str) -> Target:
    problem = _problem_of(url)
    match = None if problem else _URL.fullmatch(url)
    if match is None:
        raise _refused(problem or "it is not an http or https URL")
    scheme, authority, path, query = match.groups()
    if "@" in authority:
        raise _refused("it carries a user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    host = _host_of(parts.group(1)) if parts else ""
    secure = scheme.lower() == "https"
    port = int(parts.group(2) or _DEFAULT_PORTS[secure]) if parts else 0
    if not host or not 0 < port < 65536:
        raise _refused("its host or port cannot be used")
    return Target(secure, host, port, _encoded((path or "/") + (query or "")))


def redirected(origin: Target, location: str) -> Target:
    """Where `location` leads from `origin`. Raises ConnectError if it is no http(s) URL, or gives up TLS."""
    problem = _problem_of(location)
    if problem:
        raise _refused(problem, "the redirect")
    # Fields are read byte for byte; what a server writes there beyond ASCII is UTF-8, byte for byte.
    location = "".join(c if c < "\x80" else f"%{ord(c):02X}" for c in location)
    absolute = location
    if not _SCHEME.match(location):
        from urllib.parse import urljoin

        scheme = "https" if origin.secure else "http"
        absolute = urljoin(f"{scheme}://{origin.authority}{origin.path}", location)
    target = target_of(absolute)
    if origin.secure and not target.secure:
        raise ConnectError(f"{origin.authority} redirects from https to http, which is refused", retryable=False)
    return target


def _problem_of(url: object) -> str:
    if not isinstance(url, str):
        return "it is not text"
    if len(url) > LONGEST_URL:
        return f"it is longer than {LONGEST_URL} characters"
    return "it holds a space or a control character" if _NOT_IN_A_URL.search(url) else ""


def _host_of(text: str) -> str:
    if text.startswith("["):
        return text[1:-1].lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    # A trailing dot only says that the name is complete; certificates and Host headers do not have it.
    return text.lower().rstrip(".") if _HOST.fullmatch(text) else ""


def _encoded(path: str) -> str:
    """Non-ASCII characters percent-encoded as UTF-8; everything else as it is, since it may be signed."""
    if path.isascii():
        return path
    try:
        raw = path.encode("utf-8")
    except UnicodeEncodeError:
        raw = b""
    if not raw:
        raise _refused("it holds a lone surrogate")
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def _refused(why: str, what: str = "the URL") -> ConnectError:
    return ConnectError(f"{what} cannot be used: {why}", retryable=False)

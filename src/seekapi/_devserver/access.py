"""Who may come in. Pure: the head of a request against what the server was started with.

A server on this machine is reached by everything that this machine's browser shows. Three things keep pages out that
are not ours: the Host must be one of our names (a foreign name that was pointed at us is not), whatever a browser says
about where a request comes from must be us, and a body must be of a type that a form cannot send. No answer ever
carries a CORS header.

Secrets are compared in constant time, all of them, whichever of them fits.
"""

from __future__ import annotations

import hmac
from base64 import b64decode

from .exchange import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .exchange import Route

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
# Both as a browser would say it: of this origin, or typed by a person.
OWN_SITE = ("same-origin", "none")
# What a plain HTML form can send without asking first.
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


class Access:
    """The rules of one server. `names` are the hosts that it answers to, without the port."""

    def __init__(
        self,
        *,
        port: int,
        names: tuple[str, ...] = LOOPBACK_NAMES,
        secret: str,
        api_key: str,
        basic_auth: tuple[str, str] | None = None,
        needs_token: bool = False,
        any_address: bool = False,
    ) -> None:
        self._port = port
        self._hosts = frozenset(f"{name}:{port}" for name in names)
        if port == 80:  # The one port that browsers leave out.
            self._hosts |= frozenset(names)
        self._any_address = any_address
        self._secret = secret.encode("utf-8")
        self._api_key = api_key.encode("utf-8")
        self._basic = None if basic_auth is None else ":".join(basic_auth).encode("utf-8")
        self._needs_token = needs_token
        self.cookie_name = f"seekapi_{port}"  # Cookies know no ports: two servers must not overwrite each other's.
        # Not the key itself: a cookie also goes to whatever else is served from this machine.
        self._cookie = hmac.new(self._api_key, b"cookie of port %d" % port, "sha256").hexdigest().encode("ascii")

    def check_origin(self, named: Mapping[str, str]) -> None:
        """Whether the request is meant for us, and comes from nobody else's page. Raises Refusal (403)."""
        host = named.get("host", "")
        if host not in self._hosts and not (self._any_address and self._is_own_address(host)):
            raise Refusal(403, "FORBIDDEN_HOST", "the Host header names another server than this one")
        if "origin" in named and named["origin"] != f"http://{host}":
            raise Refusal(403, "FORBIDDEN_ORIGIN", "a page of another origin may not use this server")
        if named.get("sec-fetch-site", "none") not in OWN_SITE:
            raise Refusal(403, "FORBIDDEN_ORIGIN", "a page of another site may not use this server")

    def check_caller(self, route: Route | None, named: Mapping[str, str], token: str = "") -> None:
        """Whether the caller has what `route` asks for; None stands for a path that is not served.

        `token` is that of the URL which was printed at the start. Raises Refusal (401).
        """
        auth = "open" if route is None else route.auth
        if auth == "secret":
            if not _same(named.get("x-internal-secret", ""), self._secret):
                raise Refusal(401, "UNAUTHORIZED", "X-Internal-Secret is missing or wrong")
            return
        if auth == "signed":
            return
        # Basic covers the pages too: they show the same jobs.
        needs_basic = self._basic is not None and auth in ("jobs", "page")
        has_token = (self._needs_token or needs_basic or auth == "key") and self._has_token(named, token)
        if self._needs_token and not has_token:
            raise _unauthorized("this server asks for its token: Authorization: Bearer, or the URL that it printed")
        if auth == "key" and not has_token:
            raise _unauthorized("Authorization: Bearer with the api key is missing or wrong")
        if needs_basic and not (has_token or self._has_basic(named)):
            raise _unauthorized("user and password are missing or wrong", 'Basic realm="seekapi"')

    def cookie(self) -> str:
        """The Set-Cookie that lets this browser in from now on: for us alone, never for a script, never from afar."""
        return f"{self.cookie_name}={self._cookie.decode('ascii')}; Path=/; HttpOnly; SameSite=Strict"

    def is_token(self, token: str) -> bool:
        """Whether `token` is the one of the printed URL."""
        return _same(token, self._api_key)

    def _has_token(self, named: Mapping[str, str], token: str) -> bool:
        scheme, _, value = named.get("authorization", "").partition(" ")
        bearer = value if scheme.lower() == "bearer" else ""
        fits = [_same(token, self._api_key), _same(bearer, self._api_key)]
        for pair in named.get("cookie", "").split(";"):
            name, _, text = pair.strip().partition("=")
            fits.append(name == self.cookie_name and _same(text, self._cookie))
        return any(fits)

    def _has_basic(self, named: Mapping[str, str]) -> bool:
        scheme, _, value = named.get("authorization", "").partition(" ")
        try:
            given = b64decode(value.encode("latin-1"), validate=True) if scheme.lower() == "basic" else b""
        except ValueError:
            given = b""
        return self._basic is not None and hmac.compare_digest(given, self._basic)

    def _is_own_address(self, host: str) -> bool:
        """Bound to every address, the server cannot know its own; and no name can be pointed at us by a literal one."""
        import socket

        name, _, port = host.rpartition(":")
        family = socket.AF_INET6 if name.startswith("[") else socket.AF_INET
        address = name[1:-1] if name.startswith("[") and name.endswith("]") else name
        try:
            canonical = socket.inet_ntop(family, socket.inet_pton(family, address))
        except (OSError, ValueError):
            return False
        return port == str(self._port) and canonical == address


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected)


def _unauthorized(message: str, challenge: str = 'Bearer realm="seekapi"') -> Refusal:
    return Refusal(401, "UNAUTHORIZED", message, (("WWW-Authenticate", challenge),))

"""`seekapi.Client`: submit jobs, wait for them, read what they made; and the same for asyncio.

jobs        submit, get, list, update, complete, wait, cancel, rerun, result, files, download, events, logs
settings    get, update
records     what comes back, typed
downloads   a file onto the disk: old or new, never torn
arguments   what a call is given, looked at before anything is sent
calling     one request, one answer, one deadline
aio         the same calls for asyncio, in threads that end when their task is cancelled
interrupts  how such a thread is woken from whatever it waits for
"""

from __future__ import annotations

import time

from .. import _settings
from .._protocol import job_calls
from .._transport import Transport
from ..errors import ConfigurationError
from .arguments import check_text
from .calling import DEFAULT_TIMEOUT_S, Caller
from .jobs import Jobs
from .settings import ServiceSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .._transport.driver import Poll


class Client:
    """A jobs API: that of `seekapi dev`, or of a service that speaks the same protocol.

    `url` and `api_key` default to SEEKAPI_URL and SEEKAPI_API_KEY; `username` and `password`, for services behind basic
    authentication, to SEEKAPI_USERNAME and SEEKAPI_PASSWORD. What is given here is used instead of all that the
    environment says of keys and logins, and a login of the environment instead of its key. `timeout` is in seconds and
    total per call: connecting, waiting, every retry. Connections are kept: make one client and share it, also between
    threads; as a context manager it closes them.

        client = seekapi.Client("http://127.0.0.1:8788")
        job = client.jobs.wait(client.jobs.submit({"name": "world"}).id)

    Raises ConfigurationError if there is no URL, or one that cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._caller = connect(url, api_key, username, password, timeout)
        self.jobs = Jobs(self._caller)
        self.settings = ServiceSettings(self._caller)

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._caller.service.base_url

    def health(self, *, timeout: float | None = None) -> bool:
        """Whether the service says that it is well. Raises as every call does if it cannot be asked."""
        return is_well(self._caller, timeout)

    def close(self) -> None:
        """Close the idle connections; the client can be used again."""
        self._caller.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"


def connect(
    url: str | None,
    api_key: str | None,
    username: str | None,
    password: str | None,
    timeout_s: float,
    *,
    poll: Poll | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Caller:
    """The caller that these arguments and the environment ask for; `poll` and `pause` wait."""
    for name, value in (("api_key", api_key), ("username", username), ("password", password)):
        if value is not None:
            check_text(value, name)
    settings = _settings.read_client()
    if api_key is None and not (username or password):
        # Something explicit is meant to be used instead of what happens to be set.
        api_key, username, password = settings.api_key, settings.username, settings.password
    key = api_key or ""
    base_url = url if url is not None else settings.url
    if not base_url:
        raise ConfigurationError(
            f"where is the jobs API? Set {_settings.CLIENT_URL}, or pass url= (`seekapi dev` prints its own when it "
            "starts: http://127.0.0.1:8788, say)"
        )
    service = job_calls.Service(base_url, api_key=key, username=username or "", password=password or "")
    transport = Transport(https_proxy=settings.https_proxy, no_proxy=settings.no_proxy, poll=poll)
    secrets = tuple(secret for secret in (key, password) if secret)
    return Caller(service, transport, secrets=secrets, timeout_s=timeout_s, pause=pause)


def is_well(caller: Caller, timeout_s: float | None) -> bool:
    """Whether the service says that it is well."""
    answer = caller.value(job_calls.health(caller.service), caller.deadline(timeout_s))
    return bool(answer.get("status") == "OK")

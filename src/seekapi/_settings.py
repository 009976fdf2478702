"""The only reader of the environment: the names, their defaults, and what a malformed value means.

Read anew for every call, never at import, so that a variable set late still counts. `""` means unset.
"""

from __future__ import annotations

import os

from .errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

API_BASE_URL = "WORKER_API_BASE_URL"
INTERNAL_SECRET = "WORKER_INTERNAL_SECRET"
CLIENT_URL = "SEEKAPI_URL"
CLIENT_API_KEY = "SEEKAPI_API_KEY"
CLIENT_USERNAME = "SEEKAPI_USERNAME"
CLIENT_PASSWORD = "SEEKAPI_PASSWORD"
LOCAL_MODE = "SEEKAPI_LOCAL_MODE"
LOCAL_DIR = "SEEKAPI_LOCAL_DIR"
LOCAL_FIXTURES = "SEEKAPI_LOCAL_FIXTURES"
MAX_INPUT_BYTES = "SEEKAPI_MAX_INPUT_BYTES"
INPUT_HOSTS = "SEEKAPI_INPUT_HOSTS"
LAMBDA_FUNCTION_NAME = "AWS_LAMBDA_FUNCTION_NAME"
LOG_FORMAT = "AWS_LAMBDA_LOG_FORMAT"
LOG_LEVEL = "AWS_LAMBDA_LOG_LEVEL"

DEFAULT_LOCAL_DIR_NAME = ".seekapi-local"
# Far above any job input seen, far below what a small Lambda (128 MB) survives once parsed.
DEFAULT_MAX_INPUT_BYTES = 32 * 1024 * 1024
_SECRET_NAMES = (INTERNAL_SECRET, CLIENT_API_KEY, CLIENT_PASSWORD, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("", "0", "false", "no", "off")


class Settings:
    """What the environment says, as values. Complete once made; nothing is looked up later."""

    __slots__ = (
        "api_base_url",
        "https_proxy",
        "input_hosts",
        "internal_secret",
        "local_dir",
        "local_fixtures",
        "local_mode",
        "max_input_bytes",
        "no_proxy",
    )

    def __init__(
        self,
        *,
        api_base_url: str = "",
        internal_secret: str = "",
        local_mode: bool = False,
        local_dir: str = "",
        local_fixtures: str = "",
        max_input_bytes: int = DEFAULT_MAX_INPUT_BYTES,
        input_hosts: tuple[str, ...] = (),
        https_proxy: str = "",
        no_proxy: str = "",
    ) -> None:
        self.api_base_url = api_base_url
        self.internal_secret = internal_secret
        self.local_mode = local_mode
        self.local_dir = local_dir
        self.local_fixtures = local_fixtures
        self.max_input_bytes = max_input_bytes
        self.input_hosts = input_hosts
        self.https_proxy = https_proxy
        self.no_proxy = no_proxy

    def __repr__(self) -> str:
        return f"<Settings {self.api_base_url or 'no API'}, local mode {'on' if self.local_mode else 'off'}>"


class LogSettings:
    """How the log is to look, as AWS names it: JSON or text, from which level on (`""` means unset), and colours."""

    __slots__ = ("is_json", "level", "may_be_coloured")

    def __init__(self, *, is_json: bool = False, level: str = "", may_be_coloured: bool = True) -> None:
        self.is_json = is_json
        self.level = level
        self.may_be_coloured = may_be_coloured


class ClientSettings:
    """Where the jobs API is, and what opens it: a login, if there is one, before the key."""

    __slots__ = ("api_key", "https_proxy", "no_proxy", "password", "url", "username")

    def __init__(
        self,
        *,
        url: str = "",
        api_key: str = "",
        username: str = "",
        password: str = "",
        https_proxy: str = "",
        no_proxy: str = "",
    ) -> None:
        self.url = url
        self.api_key = "" if username or password else api_key
        self.username = username
        self.password = password
        self.https_proxy = https_proxy
        self.no_proxy = no_proxy

    def __repr__(self) -> str:
        return f"<ClientSettings, API key {'given' if self.api_key else 'not given'}>"


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this moment.

    Raises ConfigurationError if a value is malformed, and if local mode is asked for inside AWS Lambda, where
    it would turn every result into a file that nobody reads.
    """
    env = os.environ if environ is None else environ

    def value(name: str) -> str:
        return env.get(name, "").strip()

    local_mode = value(LOCAL_MODE).lower() in TRUE_WORDS
    if not local_mode and is_local_mode_unclear(env):
        _warn_of_local_mode(value(LOCAL_MODE))
    if local_mode and value(LAMBDA_FUNCTION_NAME):
        raise ConfigurationError(
            f"{LOCAL_MODE} is set inside AWS Lambda ({LAMBDA_FUNCTION_NAME} is set too): the results would never "
            f"leave the sandbox. Unset {LOCAL_MODE} in the function's environment."
        )
    return Settings(
        api_base_url=value(API_BASE_URL).rstrip("/"),
        internal_secret=value(INTERNAL_SECRET),
        local_mode=local_mode,
        local_dir=value(LOCAL_DIR) or (_default_local_dir() if local_mode else ""),
        local_fixtures=value(LOCAL_FIXTURES),
        max_input_bytes=_positive_int(MAX_INPUT_BYTES, value(MAX_INPUT_BYTES), DEFAULT_MAX_INPUT_BYTES),
        input_hosts=tuple(host.strip().lower() for host in value(INPUT_HOSTS).split(",") if host.strip()),
        https_proxy=value("https_proxy") or value("HTTPS_PROXY"),
        no_proxy=value("no_proxy") or value("NO_PROXY"),
    )


def is_local_mode_unclear(environ: Mapping[str, str] | None = None) -> bool:
    """Whether local mode is off though whoever set the variable may have meant it to be on (`ture`, `y`, `enabled`)."""
    env = os.environ if environ is None else environ
    return env.get(LOCAL_MODE, "").strip().lower() not in (*TRUE_WORDS, *FALSE_WORDS)


def read_client(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """What `seekapi.Client` is not told by its caller."""
    env = os.environ if environ is None else environ

    def value(name: str) -> str:
        return env.get(name, "").strip()

    return ClientSettings(
        url=value(CLIENT_URL),
        api_key=value(CLIENT_API_KEY),
        username=value(CLIENT_USERNAME),
        password=env.get(CLIENT_PASSWORD, ""),
        https_proxy=value("https_proxy") or value("HTTPS_PROXY"),
        no_proxy=value("no_proxy") or value("NO_PROXY"),
    )


def read_log(environ: Mapping[str, str] | None = None) -> LogSettings:
    """How to log; never raises: what cannot be understood is as good as unset."""
    env = os.environ if environ is None else environ
    return LogSettings(
        is_json=env.get(LOG_FORMAT, "").strip().upper() == "JSON",
        level=env.get(LOG_LEVEL, "").strip().upper(),
        may_be_coloured=not env.get("NO_COLOR") and env.get("TERM") != "dumb",
    )


def secrets(environ: Mapping[str, str] | None = None) -> list[str]:
    """The values of the environment that must not be seen; never raises."""
    env = os.environ if environ is None else environ
    return [env[name] for name in _SECRET_NAMES if env.get(name)]


_is_warned = False


def _warn_of_local_mode(value: str) -> None:
    """Once per process: settings are read for every call."""
    global _is_warned
    if _is_warned:
        return
    _is_warned = True
    import logging
    from contextlib import suppress

    with suppress(Exception):  # a closed stderr is no reason to lose a job
        logging.getLogger("seekapi").warning(
            "%s=%.40r is none of %s: local mode stays off (0 or no value says so without this warning)",
            *(LOCAL_MODE, value, ", ".join(TRUE_WORDS)),
        )


def _default_local_dir() -> str:
    try:
        return os.path.join(os.getcwd(), DEFAULT_LOCAL_DIR_NAME)
    except FileNotFoundError:
        pass
    raise ConfigurationError(f"the current folder is gone, and {LOCAL_DIR} is not set: set it to where results may go")


def _positive_int(name: str, text: str, default: int) -> int:
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0:
        return int(text)
    raise ConfigurationError(f"{name} must be a whole number of bytes above zero")

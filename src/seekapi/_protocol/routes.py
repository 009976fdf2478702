"""Every path of the platform that a worker calls, and how a URL is put together from a checked base.

Source: the published seekapi 1.0.5. A job id is checked before it comes near a path, and encoded all the same.
"""

from __future__ import annotations

import re

from ..errors import ArgumentError, ConfigurationError

WORKER_PATHS = "/v1/internal/"
REGISTER = "worker-request-id"
PUSH_DATA = "push"
PUSH_FILE = "push/file"
CHARGE = "charge"

# What create_context puts where a setting is missing in local mode, so that a printed context explains itself.
LOCAL_API_BASE = "http://seekapi-local.invalid"
LOCAL_SECRET = "local"

_JOB_UUID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_API_BASE = re.compile(r"(?i)(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:")


def worker_url(api_base: str, job_uuid: str, action: str) -> str:
    """The URL of one worker call. Raises ArgumentError or ConfigurationError, without the value."""
    return f"{checked_api_base(api_base)}{WORKER_PATHS}jobs/{quote_segment(checked_job_uuid(job_uuid))}/{action}"


def checked_job_uuid(job_uuid: str) -> str:
    """`job_uuid`, if it is one. `../../admin?x=` would reach another route, with a valid secret."""
    if isinstance(job_uuid, str) and _JOB_UUID.fullmatch(job_uuid):
        return job_uuid
    raise ArgumentError(
        "job_uuid is not a job id: 1 to 128 letters, digits and . _ : - are allowed, starting with a letter or digit"
    )


def checked_api_base(api_base: str) -> str:
    """`api_base`, if a request can be built on it."""
    if api_base == LOCAL_API_BASE:
        raise ConfigurationError(
            "this context was made in local mode, and local mode is off now: "
            "set SEEKAPI_LOCAL_MODE=1 again, or call create_context anew"
        )
    if is_base_url(api_base):
        return api_base.rstrip("/")
    raise ConfigurationError(
        "WORKER_API_BASE_URL is not a base URL: expected https://host, "
        "without user, query or fragment (in production https://api.seek-api.com)"
    )


def is_base_url(text: object) -> bool:
    """Whether paths can be put behind `text`: scheme, host, and perhaps a port and a path, and nothing else."""
    parts = _API_BASE.fullmatch(text) if isinstance(text, str) else None
    return parts is not None and 0 < int(parts[3] or 80) < 65536


def quote_segment(text: str) -> str:
    """`text` as one path segment."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))

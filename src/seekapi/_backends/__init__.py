"""Who answers a worker: the platform over HTTP, or a folder on this disk."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .._settings import Settings
    from .port import Backend


def _warn_plainly(text: str) -> None:
    import logging
    from contextlib import suppress

    with suppress(Exception):  # a closed stderr is no reason to lose a job
        logging.getLogger("seekapi").warning("%s", text)


# One line for the person who reads the log. The worker's log has it masked, and in the format that is asked for.
warn: Callable[[str], None] = _warn_plainly


def choose_backend(settings: Settings) -> Backend:
    """The backend that these settings ask for. The one place that asks for local mode."""
    if settings.local_mode:
        from .local import LocalBackend

        return LocalBackend(settings)
    from .remote import RemoteBackend

    return RemoteBackend(settings)

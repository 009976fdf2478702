"""Who answers a worker: the platform over HTTP, or a folder on this disk."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._settings import Settings
    from .port import Backend


def choose_backend(settings: Settings) -> Backend:
    """The backend that these settings ask for. The one place that asks for local mode."""
    if settings.local_mode:
        from .local import LocalBackend

        return LocalBackend(settings)
    from .remote import RemoteBackend

    return RemoteBackend(settings)

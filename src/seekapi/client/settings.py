"""The settings of the service that every new job takes a snapshot of."""

from __future__ import annotations

from collections.abc import Mapping

from .._protocol import job_calls
from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calling import Caller


class ServiceSettings:
    """`client.settings`. A service that was made without settings answers both calls with NotFoundError."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def get(self, *, timeout: float | None = None) -> dict[str, Any]:
        """The settings as they are."""
        deadline = self._caller.deadline(timeout)
        settings: dict[str, Any] = self._caller.value(job_calls.settings(self._caller.service), deadline)
        return settings

    def update(self, fields: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """Change these fields, and return all of them.

        `seekapi dev` leaves the others alone. There are services that set the others back to their defaults: for them
        name all that are to stay. Raises InvalidRequestError, with `.problems`.
        """
        if not isinstance(fields, Mapping):
            raise ArgumentError(f"settings are a dict of fields, not {type(fields).__name__}")
        deadline = self._caller.deadline(timeout)
        changed: dict[str, Any] = self._caller.value(job_calls.set_settings(self._caller.service, fields), deadline)
        return changed

    def __repr__(self) -> str:
        return f"<ServiceSettings of {self._caller.service.base_url}>"

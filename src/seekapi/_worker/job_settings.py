"""What a worker may be set to from outside, without a new deployment: `worker(fn, settings=MySettings)`.

The platform shows the fields of the class with their defaults, lets them be changed, and sends each job what they were
when it was submitted. The handler finds them at `job.settings`, as an instance of the class.
"""

from __future__ import annotations

from ..errors import ArgumentError, InvalidEvent, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class JobSettings:
    """Makes the settings of a job from its event. Raises ArgumentError if `kind` has a field without a default."""

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        if not isinstance(kind, type):
            raise ArgumentError(f"worker: settings must be a class, such as a dataclass, not {type(kind).__name__}")
        self.kind = kind
        try:
            kind()
        except Exception as error:
            reason = str(error)
        else:
            return
        raise ArgumentError(f"worker: every field of {kind.__name__} needs a default: {reason}")

    def of(self, event: Mapping[str, Any]) -> Any:
        """What the event carries, checked and converted; the defaults where it carries none. Raises InvalidEvent."""
        from .._protocol import schemas

        given = event.get("settings")
        if given is None:
            return self.kind()
        converter = schemas.input_converter(_taker_of(self.kind))
        try:
            return converter(given) if converter is not None else self.kind()
        except InvalidInput as error:
            reason = str(error)
        raise InvalidEvent(f"the event's settings do not fit: {reason}")


def _taker_of(kind: type) -> Any:
    def take(settings: Any) -> None:
        """Only its annotation counts."""

    take.__annotations__ = {"settings": kind}
    return take

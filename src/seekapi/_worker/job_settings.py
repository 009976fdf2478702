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

    from .._protocol.schemas import Converter


class JobSettings:
    """Makes the settings of a job from its event. Raises ArgumentError if `kind` has a field without a default."""

    __slots__ = ("_converter", "kind")

    def __init__(self, kind: type) -> None:
        if not isinstance(kind, type):
            raise ArgumentError(f"worker: settings must be a class, such as a dataclass, not {type(kind).__name__}")
        self.kind = kind
        self._converter: list[Converter | None] = []
        try:
            kind()
        except Exception as error:
            reason = str(error)
        else:
            return
        raise ArgumentError(f"worker: every field of {kind.__name__} needs a default: {reason}")

    def secrets(self, event: Mapping[str, Any]) -> list[str]:
        """What is marked Secret in the event's settings, as texts."""
        converter = self._made_converter() if event.get("settings") is not None else None
        return converter.secrets(event["settings"]) if converter is not None else []

    def of(self, event: Mapping[str, Any]) -> Any:
        """What the event carries, checked and converted; the defaults where it carries none. Raises InvalidEvent.

        It runs the code of the user's class.
        """
        given = event.get("settings")
        converter = self._made_converter() if given is not None else None
        if converter is None:
            return self.kind()
        try:
            return converter(given)
        except InvalidInput as error:
            reason = str(error)
        raise InvalidEvent(f"the event's settings do not fit: {reason}")

    def _made_converter(self) -> Converter | None:
        """Made at the first job that has settings: most processes never see any."""
        if not self._converter:
            from .._protocol import schemas

            self._converter = [schemas.input_converter(_taker_of(self.kind))]
        return self._converter[0]


def _taker_of(kind: type) -> Any:
    def take(settings: Any) -> None:
        """Never called: its annotation is read."""

    take.__annotations__ = {"settings": kind}
    return take

"""What a call is given, looked at before anything is sent: what cannot be used is named, and not met deep inside."""

from __future__ import annotations

from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def check_text(value: object, name: str, least: int = 0) -> None:
    """Raises ArgumentError for what is no string, or shorter than `least` characters."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a string, not {type(value).__name__}")
    if len(value) < least:
        raise ArgumentError(f"{name} must not be empty")


def check_count(value: object, name: str, least: int, most: int) -> None:
    """Raises ArgumentError for what is no whole number, or not from `least` to `most`."""
    if type(value) is not int:
        raise ArgumentError(f"{name} must be a whole number, not {type(value).__name__}")
    if not least <= value <= most:
        raise ArgumentError(f"{name} must be at least {least}" if value < least else f"{name} is too large")


def texts(values: Iterable[str], name: str) -> list[str]:
    """Each of `values`, which are strings; one string alone is not several. Raises ArgumentError."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise ArgumentError(f"{name} must be a list of strings, not {type(values).__name__}")
    found = list(values)
    for value in found:
        check_text(value, f"each of {name}")
    return found

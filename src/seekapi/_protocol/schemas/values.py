"""JSON values as JSON Schema sees them: their types, when two are the same, when one is a multiple of another."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def is_number(value: object) -> bool:
    """Whether JSON calls it a number: true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    # By value, as the standard has it: 1.0 is one.
    "integer": lambda value: (
        type(value) is int or (is_number(value) and (isinstance(value, int) or value.is_integer()))
    ),
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def is_of_type(value: object, expected: str | list[str]) -> bool:
    """Whether a value is of the type, or one of the types, that a schema names."""
    return type_check(expected)(value)


def type_check(expected: str | list[str]) -> Callable[[Any], bool]:
    """Says of a value whether it is of the type, or one of the types, that a schema names."""
    if isinstance(expected, str):
        return _IS_OF_TYPE[expected]
    checks = [_IS_OF_TYPE[name] for name in expected]
    return lambda value: any(check(value) for check in checks)


def may_be(value: object, schema: dict[str, Any]) -> bool:
    """Whether a value is at least of a type that this schema could take."""
    if "type" in schema:
        return is_of_type(value, schema["type"])
    if "enum" in schema or "const" in schema:
        allowed = schema["enum"] if "enum" in schema else [schema["const"]]
        return any(type(value) is type(each) for each in allowed)
    return True


def canonical(value: Any) -> Any:
    """Equal and hashable where two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool) or value is None:
        return (type(value), value)
    if isinstance(value, dict):
        return ("object", frozenset((name, canonical(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return ("array", tuple(map(canonical, value)))
    return value


def is_multiple(value: float, step: float) -> bool:
    """Exactly, by the decimal digits that stand there: 0.0075 is a multiple of 0.0001."""
    if value in (float("inf"), float("-inf")):
        return False
    (digits, exponent), (step_digits, step_exponent) = _decimal(value), _decimal(step)
    shift = exponent - step_exponent
    scaled: int = digits * 10 ** max(shift, 0)
    scaled_step: int = step_digits * 10 ** max(-shift, 0)
    return scaled % scaled_step == 0


def _decimal(value: float) -> tuple[int, int]:
    """A number as an integer and a power of ten."""
    if isinstance(value, int):
        return value, 0
    mantissa, _, exponent = repr(float(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    return int(whole + fraction), int(exponent or 0) - len(fraction)

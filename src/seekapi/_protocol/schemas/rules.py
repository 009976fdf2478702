"""What each keyword of JSON Schema demands: a rule per keyword, in the words of a problem.

A rule gets the Check that it is a part of, the whole schema, its own setting, the value and its place.
"""

from __future__ import annotations

from . import formats, words
from .values import canonical, is_multiple, is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .checks import Check
    from .words import Place

    Rule = Callable[[Check, dict[str, Any], Any, Any, Place], None]


def _ref(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    check.look(check.validator.targets[id(schema)], value, place)


def _enum(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    own = canonical(value)
    if not any(canonical(allowed) == own for allowed in setting):
        check.report(place, f"expected {words.any_of(setting)}", words.rather(value, setting))


def _const(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    _enum(check, schema, [setting], value, place)


def _format(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if check.validator.formats and isinstance(value, str) and setting in formats.FORMATS:
        is_it, description = formats.FORMATS[setting]
        if not is_it(value):
            check.report(place, f"expected {description}")


def _multiple_of(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if is_number(value) and not is_multiple(value, setting):
        check.report(place, f"must be a multiple of {setting}", f", got {words.shown(value)}")


def _bound(sentence: str, kind: type, measure: Callable[[Any], Any], is_kept: Callable[[Any, Any], bool]) -> Rule:
    """A keyword that holds a number of the value, or about it, below or above its setting."""

    def rule(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
        if isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool):
            measured = measure(value)
            if not is_kept(measured, setting):
                check.report(place, sentence.format(setting), f", got {words.shown(measured)}")

    return rule


def _at_most(measured: Any, setting: Any) -> bool:
    return bool(measured <= setting)


def _at_least(measured: Any, setting: Any) -> bool:
    return bool(measured >= setting)


def _pattern(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not isinstance(value, str):
        return
    if len(value) > formats.LONGEST_SEARCHED:
        check.report(place, f"is too long to be searched for a pattern (at most {formats.LONGEST_SEARCHED})")
    elif not formats.regex(setting).search(value):
        check.report(place, f"must match {words.shown(setting, 200)}")


def _unique_items(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not setting or not isinstance(value, list):
        return
    first_at: dict[Any, int] = {}
    for index, item in enumerate(value):
        earlier = first_at.setdefault(canonical(item), index)
        if earlier != index:
            check.report((place, index), f"must not repeat item {earlier}")


def _prefix_items(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, list):
        for index, (part, item) in enumerate(zip(setting, value, strict=False)):
            check.look(part, item, (place, index))


def _items(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not isinstance(value, list):
        return
    known_count = len(schema.get("prefixItems", ()))
    if setting is False and len(value) > known_count:
        check.report(place, f"must have at most {known_count} items", f", got {len(value)}")
        return
    has_type = check.validator.only_type_of(setting)
    for index in range(known_count, len(value)):
        if has_type is None or not has_type(value[index]):
            check.look(setting, value[index], (place, index))


def _contains(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not isinstance(value, list):
        return
    fitting_count = sum(check.fits(setting, item) for item in value)
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    if fitting_count < least:
        check.report(place, f"must contain at least {least} fitting items, has {fitting_count}")
    if most is not None and fitting_count > most:
        check.report(place, f"must contain at most {most} fitting items, has {fitting_count}")


def _required(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for name in setting:
            if name not in value:
                check.report((place, name), "is missing")


def _dependent_required(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for name, needed in setting.items():
            missing = [other for other in needed if name in value and other not in value]
            for other in missing:
                check.report((place, other), f"is missing, and needed beside {words.shown(name)}")


def _dependent_schemas(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for name, part in setting.items():
            if name in value:
                check.look(part, value, place)


def _properties(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for name, part in setting.items():
            if name in value:
                check.look(part, value[name], (place, name))


def _pattern_properties(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for pattern, part in setting.items():
            for name in _matching(value, pattern):
                check.look(part, value[name], (place, name))


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    search = formats.regex(pattern).search
    return [name for name in names if search(name[: formats.LONGEST_SEARCHED])]


def _additional(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not isinstance(value, dict):
        return
    known: dict[str, Any] = schema.get("properties", {})
    by_pattern = {name for pattern in schema.get("patternProperties", ()) for name in _matching(value, pattern)}
    for name, part in value.items():
        if name in known or name in by_pattern:
            continue
        if setting is False:
            check.report((place, name), "unknown key", words.rather_key(name, known))
        else:
            check.look(setting, part, (place, name))


def _property_names(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if isinstance(value, dict):
        for name in value:
            if not check.fits(setting, name):
                check.report((place, name), "is not allowed as a key", f": {check.why_not(setting, name)}")


def _all_of(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    for part in setting:
        check.look(part, value, place)


def _any_of(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if not any(check.fits(part, value) for part in setting):
        check.explain(setting, value, place)


def _one_of(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    fitting_count = sum(check.fits(part, value) for part in setting)
    if not fitting_count:
        check.explain(setting, value, place)
    elif fitting_count > 1:
        check.report(place, f"fits {fitting_count} of the alternatives, and only one is allowed")


def _not(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    if check.fits(setting, value):
        check.report(place, "is not allowed here")


def _if(check: Check, schema: dict[str, Any], setting: Any, value: Any, place: Place) -> None:
    check.look(schema.get("then" if check.fits(setting, value) else "else", True), value, place)


# How each keyword is checked. `type` comes first, and `then`, `else`, `minContains` and `maxContains` with another.
RULES: dict[str, Rule] = {
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "format": _format,
    "multipleOf": _multiple_of,
    "maximum": _bound("must be at most {}", float, lambda value: value, _at_most),
    "minimum": _bound("must be at least {}", float, lambda value: value, _at_least),
    "exclusiveMaximum": _bound("must be below {}", float, lambda value: value, lambda a, b: bool(a < b)),
    "exclusiveMinimum": _bound("must be above {}", float, lambda value: value, lambda a, b: bool(a > b)),
    "maxLength": _bound("must have at most {} characters", str, len, _at_most),
    "minLength": _bound("must have at least {} characters", str, len, _at_least),
    "maxItems": _bound("must have at most {} items", list, len, _at_most),
    "minItems": _bound("must have at least {} items", list, len, _at_least),
    "maxProperties": _bound("must have at most {} keys", dict, len, _at_most),
    "minProperties": _bound("must have at least {} keys", dict, len, _at_least),
    "pattern": _pattern,
    "uniqueItems": _unique_items,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "required": _required,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}

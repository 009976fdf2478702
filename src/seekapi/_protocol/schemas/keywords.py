"""Which JSON Schemas are understood: 2020-12, with the keywords of one table. A schema with any other is refused.

Refused rather than ignored: a constraint that nobody checks is worse than an error. Ignored is only what constrains
nothing by its definition (ANNOTATIONS, and `x-...`). References stay inside the document.
"""

from __future__ import annotations

from . import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    Schema = bool | dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_OF_THE_STANDARD = ("$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
# By the standard, too, the vocabulary of contents only informs.
_OF_CONTENTS = ("contentEncoding", "contentMediaType", "contentSchema")
_OF_OPENAPI = ("example", "discriminator", "externalDocs", "xml")
ANNOTATIONS = frozenset((*_OF_THE_STANDARD, *_OF_CONTENTS, *_OF_OPENAPI))


class SchemaError(ValueError):
    """The schema is malformed, or says something that is not understood here; the message says what, and where."""


def _is_schema(value: object) -> bool:
    return isinstance(value, (bool, dict))


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _are_named_schemas(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value % 1 == 0


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_types(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return _are_texts(names) and all(name in TYPES for name in names)


# Every keyword that constrains and is checked, and whether a value can be its setting.
KEYWORDS: dict[str, Callable[[Any], bool]] = {
    "$ref": lambda value: isinstance(value, str),
    "$defs": _are_named_schemas,
    "type": _are_types,
    "enum": lambda value: isinstance(value, list),
    "const": lambda value: True,
    "format": lambda value: isinstance(value, str),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "maximum": _is_number,
    "exclusiveMaximum": _is_number,
    "minimum": _is_number,
    "exclusiveMinimum": _is_number,
    "maxLength": _is_count,
    "minLength": _is_count,
    "pattern": lambda value: isinstance(value, str),
    "maxItems": _is_count,
    "minItems": _is_count,
    "uniqueItems": lambda value: isinstance(value, bool),
    "prefixItems": _are_schemas,
    "items": _is_schema,
    "contains": _is_schema,
    "maxContains": _is_count,
    "minContains": _is_count,
    "maxProperties": _is_count,
    "minProperties": _is_count,
    "required": _are_texts,
    "dependentRequired": lambda value: isinstance(value, dict) and all(map(_are_texts, value.values())),
    "dependentSchemas": _are_named_schemas,
    "properties": _are_named_schemas,
    "patternProperties": _are_named_schemas,
    "additionalProperties": _is_schema,
    "propertyNames": _is_schema,
    "allOf": _are_schemas,
    "anyOf": _are_schemas,
    "oneOf": _are_schemas,
    "not": _is_schema,
    "if": _is_schema,
    "then": _is_schema,
    "else": _is_schema,
}
# Those that look at the same value again. A schema that comes back to itself through them alone would never end.
IN_PLACE = frozenset({"$ref", "dependentSchemas", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"})


def vet(root: Schema) -> dict[int, Schema]:
    """Refuse a schema that is not understood; of one that is, return what each `$ref` means, by the id of its schema.

    Raises SchemaError.
    """
    targets: dict[int, Schema] = {}
    in_place: dict[int, list[int]] = {}
    waiting: list[tuple[str, Any]] = [("#", root)]
    while waiting:
        place, schema = waiting.pop()
        if id(schema) in in_place or isinstance(schema, bool):
            continue
        if not isinstance(schema, dict):
            raise SchemaError(f"{place}: a schema is an object, true or false")
        again = in_place[id(schema)] = []
        for keyword, setting in schema.items():
            _check_keyword(place, keyword, setting, is_root=schema is root)
            if keyword == "$ref":
                targets[id(schema)] = target = _resolved(root, setting, place)
                waiting.append((setting, target))
                again.append(id(target))
            for name, part in parts_of(keyword, setting):
                waiting.append((f"{place}/{name}", part))
                if keyword in IN_PLACE:
                    again.append(id(part))
    _refuse_circles(in_place)
    return targets


def parts_of(keyword: str, setting: Any) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside a keyword's setting, and where."""
    check = KEYWORDS.get(keyword)
    if check is _is_schema:
        yield keyword, setting
    elif check is _are_schemas:
        yield from ((f"{keyword}/{index}", part) for index, part in enumerate(setting))
    elif check is _are_named_schemas:
        yield from ((f"{keyword}/{name}", part) for name, part in setting.items())


def moved(schema: Any, home: Mapping[str, str]) -> Any:
    """`schema` with those of its references that are in `home` pointing to what is there.

    Only where a schema can be: a default, a constant or a property may be called `$ref`, too.
    """
    if not isinstance(schema, dict):
        return schema
    made = {}
    for keyword, setting in schema.items():
        check = KEYWORDS.get(keyword)
        made[keyword] = setting
        if keyword == "$ref" and isinstance(setting, str):
            # As a JSON pointer in a URL: percent-encoded, and its own escapes below that.
            made[keyword] = home.get(setting) or home.get(
                _decoded(setting).replace("~1", "/").replace("~0", "~"), setting
            )
        elif keyword == "discriminator" and isinstance(setting, dict) and isinstance(setting.get("mapping"), dict):
            mapping = {tag: home.get(target, target) for tag, target in setting["mapping"].items()}
            made[keyword] = {**setting, "mapping": mapping}
        elif check is _is_schema:
            made[keyword] = moved(setting, home)
        elif check is _are_schemas and _are_schemas(setting):
            made[keyword] = [moved(part, home) for part in setting]
        elif check is _are_named_schemas and _are_named_schemas(setting):
            made[keyword] = {name: moved(part, home) for name, part in setting.items()}
    return made


def _decoded(pointer: str) -> str:
    if "%" not in pointer:
        return pointer
    from urllib.parse import unquote  # which takes longer to load than all of this

    return unquote(pointer)


def _check_keyword(place: str, keyword: str, setting: Any, *, is_root: bool) -> None:
    if keyword in ANNOTATIONS or keyword.startswith("x-"):
        return
    if keyword == "$schema":
        if not isinstance(setting, str) or setting.rstrip("#") != DIALECT:
            raise SchemaError(f"{place}: only {DIALECT} is understood")
        return
    # At the root it is only the document's name, since references that would use it are refused.
    if keyword == "$id" and is_root:
        return
    if keyword not in KEYWORDS:
        raise SchemaError(f"{place}: the keyword {keyword[:80]!r} is not understood")
    if not KEYWORDS[keyword](setting):
        raise SchemaError(f"{place}/{keyword}: not what this keyword takes")
    patterns = [setting] if keyword == "pattern" else setting if keyword == "patternProperties" else ()
    for pattern in patterns:
        try:
            formats.regex(pattern)
        except ValueError as error:
            raise SchemaError(f"{place}/{keyword}: {error}") from None


def _resolved(root: Schema, reference: str, place: str) -> Schema:
    """What a `$ref` inside this document points to."""
    if reference != "#" and not reference.startswith("#/"):
        raise SchemaError(f"{place}/$ref: only references into the same document (#/...) are understood")
    found: Any = root
    for step in _decoded(reference[2:]).split("/") if reference != "#" else ():
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise SchemaError(f"{place}/$ref: there is no {reference[:200]}")
    if not _is_schema(found):
        raise SchemaError(f"{place}/$ref: {reference[:200]} is no schema")
    return found  # type: ignore[no-any-return]


def _refuse_circles(in_place: dict[int, list[int]]) -> None:
    """Take away what leads nowhere again and again: what is left in the end goes round in a circle."""
    users: dict[int, list[int]] = {}
    open_count = dict.fromkeys(in_place, 0)
    for schema, again in in_place.items():
        for part in again:
            if part in in_place:
                users.setdefault(part, []).append(schema)
                open_count[schema] += 1
    ready = [schema for schema, count in open_count.items() if not count]
    done_count = 0
    while ready:
        done_count += 1
        for user in users.get(ready.pop(), ()):
            open_count[user] -= 1
            if not open_count[user]:
                ready.append(user)
    if done_count < len(in_place):
        raise SchemaError("the schema refers to itself without an end")

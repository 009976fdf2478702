"""Generic classes: what their type variables stand for, in their bases, too.

What is substituted is substituted at once: a class and its base may call two different things `T`.
"""

from __future__ import annotations

import typing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Variables = Mapping[Any, Any]


def meant(annotation: Any, variables: Variables) -> Any:
    """An annotation with what its type variables stand for; one that stands for nothing is anything in its bound."""
    if isinstance(annotation, typing.TypeVar):
        return variables.get(annotation, annotation.__bound__ or typing.Any)
    parameters = getattr(annotation, "__parameters__", ())
    # A generic class by itself has parameters, too, but nothing to put in their place.
    if not parameters or typing.get_origin(annotation) is None:
        return annotation
    return annotation[tuple(meant(each, variables) for each in parameters)]


def variables_of_bases(cls: Any, variables: Variables) -> dict[type, Variables]:
    """What the variables of `cls` and of each of its bases stand for, with those of `cls` given."""
    found: dict[type, Variables] = {cls: variables}
    waiting = [cls]
    while waiting:
        child = waiting.pop()
        for written in vars(child).get("__orig_bases__", child.__bases__):
            base = typing.get_origin(written) or written
            if not isinstance(base, type) or base in found:
                continue
            arguments = (meant(argument, found[child]) for argument in typing.get_args(written))
            found[base] = dict(zip(getattr(base, "__parameters__", ()), arguments, strict=False))
            waiting.append(base)
            if hasattr(cls, "__required_keys__"):
                # A TypedDict has no bases: their keys are its own.
                found[cls] = {**found[base], **found[cls]}
    return found

"""Annotations as they stand in a program: of the first parameter of a function, as text or as objects.

A text is read where it was written: with the names of its module, of the functions around it, and of its own class.
Without `typing`, so that a function without annotations costs nothing.
"""

from __future__ import annotations

import builtins
import sys
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

# What @worker calls the function in a handler.
HANDLED = "__seekapi_function__"
_CO_VARARGS = 4
# From a function to the one behind it, and from a name to what it means: a bound against going round in a circle.
_MOST_STEPS = 100


class Unresolved(Exception):
    """An annotation names what is not there; the message says what."""


class Scope:
    """The names that an annotation may use, and what the type variables of a generic class stand for."""

    __slots__ = ("_local", "_module", "variables")

    def __init__(
        self, module: dict[str, Any], local: dict[str, Any], variables: Mapping[Any, Any] | None = None
    ) -> None:
        self._module = module
        self._local = local
        self.variables = variables or {}

    def resolved(self, annotation: Any) -> Any:
        """The object that an annotation means; one that is no text is itself. Raises Unresolved."""
        written_in: object = None
        for _ in range(_MOST_STEPS):
            forward = getattr(annotation, "__forward_arg__", None)
            text = annotation if isinstance(annotation, str) else forward
            if not isinstance(text, str):
                return annotation
            written_in = getattr(annotation, "__forward_module__", None) or written_in
            annotation = self._evaluated(text, written_in)
        raise Unresolved(f"{annotation!r} only leads to other names")

    def _evaluated(self, text: str, written_in: object) -> Any:
        # A TypedDict keeps the texts of its bases, which may be from another module.
        module = vars(sys.modules[written_in]) if isinstance(written_in, str) and written_in in sys.modules else {}
        try:
            return eval(text, {**self._module, **module}, self._local)
        except RecursionError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        raise Unresolved(f"{text!r} cannot be read ({reason})")


def of_input(fn: Callable[..., Any]) -> tuple[Any, Scope] | None:
    """What the first parameter of `fn` is annotated with, and where; None if it is not.

    Looks through @worker, partial, methods, callable objects, and decorators that pass on whatever they get.
    """
    found = _first_parameter(fn)
    if found is None:
        return None
    function, name = found
    try:
        annotation = function.__annotations__.get(name)
    except Exception:  # Python 3.14 reads them only now, and may not find a name
        return None
    return None if annotation is None and name not in function.__annotations__ else (annotation, _scope_of(function))


def _first_parameter(fn: Any) -> tuple[Any, str] | None:
    """The function behind `fn`, and the name of the parameter that gets the first argument."""
    taken_count = 0
    for _ in range(_MOST_STEPS):
        if hasattr(fn, HANDLED):
            fn = getattr(fn, HANDLED)
        elif isinstance(fn, partial):
            taken_count += len(fn.args)
            fn = fn.func
        elif hasattr(fn, "__func__"):  # a method
            taken_count += 1
            fn = fn.__func__
        elif hasattr(fn, "__code__"):
            code = fn.__code__
            names = code.co_varnames[: code.co_argcount]
            if taken_count < len(names):
                return fn, names[taken_count]
            if not code.co_flags & _CO_VARARGS or not hasattr(fn, "__wrapped__"):
                return None
            fn = fn.__wrapped__
        elif isinstance(fn, type):
            taken_count += 1
            fn = fn.__init__  # type: ignore[misc]
        else:
            taken_count += 1
            fn = type(fn).__call__
            if not hasattr(fn, "__code__"):
                return None
    return None


def _scope_of(function: Any) -> Scope:
    local: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            local[name] = cell.cell_contents
        except ValueError:
            continue  # not set yet
    return Scope(getattr(function, "__globals__", {}), local)


def of_class(cls: type, variables: Mapping[type, Mapping[Any, Any]]) -> Iterator[tuple[str, Any, Scope]]:
    """The annotated names of a class and its bases, each with its annotation and the scope to read it in.

    `variables` says of each of these classes what its type variables stand for.

    In the order in which a dataclass has its fields; of a name that two classes annotate, the later one's. Raises
    Unresolved.
    """
    found: dict[str, tuple[Any, Scope]] = {}
    for base in reversed(cls.__mro__):
        try:
            own = getattr(base, "__annotations__", None) if base is not object else None
        except Exception as error:  # Python 3.14 reads them only now
            raise Unresolved(str(error)) from None
        if own:
            parameters = {each.__name__: each for each in getattr(base, "__type_params__", ())}
            scope = Scope(_names_of(base), {**parameters, base.__name__: base}, variables.get(base))
            found.update({name: (annotation, scope) for name, annotation in own.items()})
    yield from ((name, annotation, scope) for name, (annotation, scope) in found.items())


def _names_of(cls: type) -> dict[str, Any]:
    """The names that the body of a class can use. Those of its module win: `date: date = None` means the type."""
    module = sys.modules.get(cls.__module__)
    names = vars(module) if module else {}
    # eval() adds the builtins to what it is given, so that is a copy.
    return {**{name: value for name, value in vars(cls).items() if name not in vars(builtins)}, **names}

"""What a handler may be, told without calling it: whether it takes the Job, and whether it is asynchronous.

Then what it returned: a value, a generator whose values are pushed one by one, or something that a loop has to run
(`coroutines.py`). Signatures are read from code objects: `inspect` costs more than a whole job.
"""

from __future__ import annotations

import builtins
import sys

from ..errors import ArgumentError, SerializationError
from . import frames, logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Protocol, TypeAlias, Union

    from .._protocol.schemas import Converter
    from .job import AsyncJob, Job
    from .job_settings import JobSettings
    from .setup import Setup

    class WithJobByName(Protocol):
        """`def handler(job_input, *, job)`."""

        def __call__(self, job_input: Any, /, *, job: Job) -> Any: ...

    class WithAsyncJobByName(Protocol):
        """`async def handler(job_input, *, job)`."""

        def __call__(self, job_input: Any, /, *, job: AsyncJob) -> Any: ...

    UserFn: TypeAlias = Union[
        Callable[[Any], Any],
        Callable[[Any, Job], Any],
        Callable[[Any, AsyncJob], Any],
        WithJobByName,
        WithAsyncJobByName,
    ]

_VARIADIC = 0x04  # *args
_COROUTINE = 0x80 | 0x100 | 0x200  # async def, types.coroutine, async generator
# Layers around a function: partials, decorators, methods. Beyond that it is a circle.
MOST_LAYERS = 64

# How the Job is handed over.
NOT_AT_ALL, AS_SECOND, BY_NAME = "not at all", "as second", "by name"
JOB = "job"

PLAIN, STEPS, AWAITABLE, ASYNC_STEPS = "plain", "generator", "awaitable", "async generator"


class Shape:
    """How a handler is called. `function` is the innermost one: its annotations are those of the handler."""

    __slots__ = ("function", "is_async", "job")

    def __init__(self, function: Any, job: str, *, is_async: bool) -> None:
        self.function = function
        self.job = job
        self.is_async = is_async

    @frames.open_to_interrupts
    def call(self, fn: Callable[..., Any], job_input: Any, job: Any) -> Any:
        """Call `fn`, whose shape this is."""
        if self.job is BY_NAME:
            return fn(job_input, job=job)
        return fn(job_input, job) if self.job is AS_SECOND else fn(job_input)


class StopJob(BaseException):
    """The handler asked to end here, in success, with what it has delivered. Never leaves run()."""


class UserFunction:
    """A handler of the user's: how it is called, what it asks of its input, and what it needs beside it."""

    __slots__ = ("_converter", "_is_converter_known", "fn", "settings", "setup", "shape")

    def __init__(self, fn: Callable[..., Any], setup: Setup | None = None, settings: JobSettings | None = None) -> None:
        if hasattr(fn, "__seekapi_function__"):
            # Its answer would be taken for a result, and its failure for a success.
            raise ArgumentError("this is a Lambda handler already, made by worker(): call it with an event")
        self.fn = fn
        self.setup = setup
        self.settings = settings
        self.shape = shape_of(fn)
        self._converter: Converter | None = None
        self._is_converter_known = False

    def converter(self) -> Converter | None:
        """What checks and converts the input as the annotation of the first parameter says; None if it says nothing.

        Asked for at the first job: the annotation may name what stands further down in the user's module.
        """
        if not self._is_converter_known:
            if _has_annotations(self.shape.function):
                from .._protocol import schemas

                self._converter = schemas.input_converter(self.fn)
            self._is_converter_known = True
        return self._converter

    def call(self, job_input: Any, job: Any) -> Any:
        """Call it. What comes back may have to be finished."""
        return self.shape.call(self.fn, job_input, job)


def shape_of(fn: Callable[..., Any]) -> Shape:
    """The shape of any callable. What cannot be told counts as a plain function of the input alone.

    A second positional parameter without a default takes the Job, and so does any later one that is called `job`. A
    wrapper that passes on whatever it gets (`*args`) is as what it wraps; any other wrapper speaks for itself.
    """
    bound_count = 0
    bound_names: set[str] = set()
    function: Any = fn
    is_async = False
    for _ in range(MOST_LAYERS):
        # A method has the attributes of its function, but one parameter less.
        code = _code_of(function) if _attribute(function, "__func__") is None else None
        if code is None:
            function, newly_bound, names = _inner(function)
            if function is None:
                break
            bound_count += newly_bound
            bound_names |= names
            continue
        is_async = bool(code.co_flags & _COROUTINE)
        wrapped = _attribute(function, "__wrapped__")
        if code.co_flags & _VARIADIC and callable(wrapped):
            function = wrapped
            continue
        return Shape(function, _way_to_the_job(function, code, bound_count, bound_names), is_async=is_async)
    return Shape(fn, NOT_AT_ALL, is_async=is_async)


def kind_of(value: object) -> str:
    """What a handler returned, by what it can do: Cython's and Python's own count alike."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return PLAIN
    if hasattr(kind, "__next__") and hasattr(kind, "send") and hasattr(kind, "throw"):
        return STEPS
    if hasattr(kind, "__anext__") and hasattr(kind, "athrow"):
        return ASYNC_STEPS
    return AWAITABLE if hasattr(kind, "__await__") else PLAIN


def drained(steps: Generator[Any, Any, Any], offer: Callable[[Any], None]) -> Any:
    """Offer every value that `steps` yields; return what it returns. It is closed in any case.

    A value without a JSON form is refused at its `yield`, so that the error names the user's own line.
    """
    try:
        value = next(steps)
        while True:
            try:
                offer(value)
            except SerializationError as error:
                value = steps.throw(error.with_traceback(None))
            else:
                value = next(steps)
    except StopIteration as end:
        return end.value
    except BaseException:
        _close(steps)
        raise


def is_stop(error: BaseException) -> bool:
    """Whether an exception is a StopJob, also out of a group of tasks where nothing else went wrong."""
    # By type: `isinstance` asks the error itself for its class, and it may answer with an exception.
    kind = type(error)
    if issubclass(kind, StopJob):
        return True
    group = getattr(sys.modules.get("exceptiongroup", builtins), "BaseExceptionGroup", ())
    return issubclass(kind, group) and all(is_stop(inner) for inner in error.exceptions)  # type: ignore[attr-defined]


def warn_of_close(error: BaseException) -> None:
    """A generator that fails while it is closed must not hide why it was closed."""
    logs.warn("the handler failed again while its generator was closed: %s", type(error).__name__)


def _close(steps: Generator[Any, Any, Any]) -> None:
    try:
        steps.close()
    except Exception as error:
        warn_of_close(error)


def _code_of(function: Any) -> Any:
    """The code of a Python function; of whatever else has one that reads like it (Cython)."""
    code = _attribute(function, "__code__")
    is_code = isinstance(_attribute(code, "co_flags"), int) and isinstance(_attribute(code, "co_varnames"), tuple)
    return code if is_code else None


def _inner(function: Any) -> tuple[Any, int, set[str]]:
    """What a callable without code of its own passes the call on to, and what it has bound by then."""
    functools = sys.modules.get("functools")
    if functools is not None and isinstance(function, functools.partial):
        return function.func, len(function.args), set(function.keywords)
    method = _attribute(function, "__func__")
    if method is not None:
        # A bound method has an object; a staticmethod, which is callable, has none.
        return method, 0 if isinstance(function, staticmethod) else 1, set()
    wrapped = _attribute(function, "__wrapped__")
    if callable(wrapped):
        return wrapped, 0, set()
    if isinstance(function, type):
        made_by = function.__init__ if function.__init__ is not object.__init__ else function.__new__  # type: ignore[misc]
        return (made_by, 1, set()) if _code_of(made_by) is not None else (None, 0, set())
    call = _attribute(type(function), "__call__")
    if _code_of(call) is not None:
        # As the class has it: without the object, unless it is a static method.
        is_static = isinstance(_in_class(type(function), "__call__"), staticmethod)
        return call, 0 if is_static else 1, set()
    inner_call = _in_class(type(function), "__call__")
    if inner_call is not None and not hasattr(type(inner_call), "__objclass__"):
        return _attribute(function, "__call__"), 0, set()
    return None, 0, set()


def _in_class(kind: type, name: str) -> Any:
    return next((vars(above)[name] for above in kind.__mro__ if name in vars(above)), None)


def _way_to_the_job(function: Any, code: Any, bound_count: int, bound_names: set[str]) -> str:
    names: tuple[str, ...] = code.co_varnames
    with_default = len(_attribute(function, "__defaults__") or ())
    # What a partial has bound by name, and all behind it, can be given by name only.
    positional_count = next(
        (index for index, name in enumerate(names[: code.co_argcount]) if name in bound_names), code.co_argcount
    )
    second = bound_count + 1
    if second < positional_count and (names[second] == JOB or second < code.co_argcount - with_default):
        return AS_SECOND
    first_by_name = max(second + 1, _attribute(code, "co_posonlyargcount") or 0)
    by_name = names[min(first_by_name, positional_count) : code.co_argcount + code.co_kwonlyargcount]
    return BY_NAME if JOB in by_name and JOB not in bound_names else NOT_AT_ALL


def _has_annotations(function: Any) -> bool:
    try:
        return bool(getattr(function, "__annotations__", None))
    except Exception:
        return True  # Python 3.14 evaluates them here, and a name may be missing


def _attribute(thing: Any, name: str) -> Any:
    """An attribute, or None; a handler may be a stranger's object, whose attributes raise."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


_PLAIN_TYPES = frozenset((type(None), dict, list, str, int, float, bool, tuple))

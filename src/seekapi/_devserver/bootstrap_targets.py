"""How the process of a worker finds the handler, and tells what went wrong. Loaded by bootstrap.py, whose rules hold.

What TARGET means is told in _cli/targets.py. `seekapi run` finds its handlers here, too.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any, TypeVar

    Made = TypeVar("Made")

LARGEST_TEXT_CHARS = 64 * 1024


class Unusable(Exception):
    """The target names no handler that could be called; the message tells the user why."""


def load(order: dict[str, Any], *, to_call: bool = True) -> Callable[[Any, Any], Any]:
    """Import the target and return its handler. What the user's module raises comes through as it is.

    With `to_call=False` also what is no handler, but has to do with one: a function that it runs, its input's class.
    """
    place, name = order["place"], order["name"]
    stem = os.path.splitext(os.path.basename(place))[0]
    if order["is_file"] and stem in pythons_own():
        import_quietly(stem)  # before the worker's folder is where it would be found
    folder = os.path.dirname(os.path.abspath(place)) if order["is_file"] else os.getcwd()
    sys.path.insert(0, folder)
    distrust_young_caches(folder)
    module = load_file(place, stem) if order["is_file"] else load_module(place)
    if not hasattr(module, name):
        raise Unusable(f"{place} has no {name!r}{suggestion(module, place, name)}")
    handler = getattr(module, name)
    if not callable(handler):
        raise Unusable(f"{place}:{name} is not a function but {type(handler).__name__}")
    if to_call:
        check_takes_two(handler, f"{place}:{name}")
    return handler  # type: ignore[no-any-return]


def load_file(path: str, stem: str) -> ModuleType:
    """The module in this file, under the file's name."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    name = f"{stem}_worker" if stem in sys.modules or stem in pythons_own() else stem
    path = os.path.abspath(path)
    spec = spec_from_file_location(name, path, loader=cautious(SourceFileLoader)(name, path))
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_module(name: str) -> ModuleType:
    """The module of this name, from the current folder or an installed package."""
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # Only the target itself: a module that it imports and lacks is the user's own traceback.
        if missing != name and not name.startswith(f"{missing}."):
            raise
    refuse_other_file(name)
    parent, _, last = name.rpartition(".")
    hint = f"; a handler is named after a colon: {parent}:{last}" if missing == name and parent else ""
    if missing == name.partition(".")[0] != name:
        hint = "; if it is a file: its name must end in .py"
    raise Unusable(f"there is no module {missing!r} in {os.getcwd()} or among the installed packages{hint}")


def refuse_other_file(place: str) -> None:
    """Raise Unusable if it is the name of a file that cannot be imported."""
    if os.path.isfile(place):
        raise Unusable(f"{place} is no handler file: its name must end in .py")


def distrust_young_caches(folder: str) -> None:
    """Have the modules in `folder` loaded with care, those of a virtual environment in it aside."""
    from importlib import machinery

    extensions = machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES
    sources = cautious(machinery.SourceFileLoader), machinery.SOURCE_SUFFIXES
    within = os.path.join(folder, "")

    def finder(path: str) -> Any:
        if (path != folder and not path.startswith(within)) or is_installed(path) or not os.path.isdir(path):
            raise ImportError("somebody else's", path=path)
        return machinery.FileFinder(path, extensions, sources)

    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.pop(folder, None)


def cautious(loader: Any) -> Any:
    """`loader`, but what was compiled in the very second in which the file was saved is compiled again.

    Python compares seconds and sizes: of two saves within one second it would go on running the first.
    """

    class Cautious(loader):  # type: ignore[misc]
        def get_code(self, fullname: str) -> Any:
            from importlib.util import cache_from_source

            source = self.get_filename(fullname)
            try:
                cache = cache_from_source(source)
                if int(os.stat(cache).st_mtime) <= int(os.stat(source).st_mtime):
                    os.unlink(cache)
            except (OSError, NotImplementedError):
                pass
            return loader.get_code(self, fullname)

    return Cautious


def pythons_own() -> Any:
    """The names of Python's modules (unknown before 3.10)."""
    return getattr(sys, "stdlib_module_names", sys.builtin_module_names)


def import_quietly(name: str) -> None:
    """One that this Python may not have."""
    from importlib import import_module

    try:
        import_module(name)
    except ImportError:
        pass


def suggestion(module: ModuleType, place: str, meant: str) -> str:
    """What the user wrote there, the likeliest first: functions, or classes if there are none."""
    from difflib import SequenceMatcher

    own = {
        name: value
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    names = [name for name, value in own.items() if not isinstance(value, type)] or list(own)
    names.sort(key=lambda name: -SequenceMatcher(None, meant, name).ratio())
    return f"; did you mean {' or '.join(f'{place}:{name}' for name in names[:3])}?" if names else ""


def check_takes_two(handler: Callable[..., Any], target: str) -> None:
    """Refuse what cannot be called as handler(event, context), with the remedy."""
    if isinstance(handler, type) and "__new__" not in vars(handler):
        raise Unusable(f"{target} is a class, and no handler(event, context)")
    code = getattr(handler, "__code__", None)
    if code is not None and code.co_argcount == 2 and not code.co_kwonlyargcount:
        return  # As nearly all are; `inspect` takes longer to load than all else here.
    from inspect import signature

    try:
        parameters = signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        parameters.bind(None, None)
    except TypeError:
        # Without the annotations, which may be long.
        raise Unusable(
            f"{target}({', '.join(parameters.parameters)}) cannot be called as handler(event, context); "
            "a function from input to output becomes a handler with @seekapi.worker above it"
        ) from None


# Telling what went wrong, whatever the user's own classes do.


def fault_of(error: BaseException, *, of_import: bool = False) -> dict[str, Any]:
    """What happened, where in the user's own code, and how it came to it."""
    if isinstance(error, Unusable):
        return {"message": str(error), "where": None, "line": None, "traceback": ""}
    trace = error.__traceback__
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    nowhere: tuple[str | None, str | None] = (None, None)
    where, line = safely(lambda: place_of(error, trace), nowhere)
    text = safely(lambda: traceback_of(error, trace), "") or said(error) + "\n"
    message = f"cannot import the worker: {said(error)}" if of_import else said(error)
    shown_text = text[-LARGEST_TEXT_CHARS:]
    return {"message": message[:LARGEST_TEXT_CHARS], "where": where, "line": line, "traceback": shown_text}


def traceback_of(error: BaseException, trace: TracebackType | None) -> str:
    """As Python shows it, less our frames in front."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, trace))


def place_of(error: BaseException, trace: TracebackType | None) -> tuple[str | None, str | None]:
    """`file:line` and the line itself: the innermost that is the user's own; of a SyntaxError the one it is about."""
    import linecache

    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{shown(error.filename)}:{error.lineno}", (error.text or "").strip() or None
    found: tuple[str | None, str | None] = (None, None)
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not is_ours(path) and not is_installed(path) and not path.startswith("<"):
            found = f"{shown(path)}:{trace.tb_lineno}", linecache.getline(path, trace.tb_lineno).strip() or None
        trace = trace.tb_next
    return found


def is_ours(path: str) -> bool:
    """Whether a frame is of this folder, or of Python's import system."""
    return os.path.dirname(path) == os.path.dirname(__file__) or path.startswith("<frozen importlib")


def is_installed(path: str) -> bool:
    """Whether a file came with Python or with a package."""
    parts = path.replace(os.sep, "/").split("/")
    is_of_package = "site-packages" in parts or "dist-packages" in parts
    return is_of_package or path.startswith(os.path.dirname(os.__file__) + os.sep)


def shown(path: str) -> str:
    """Relative, if that is shorter to read."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def said(error: BaseException) -> str:
    """The exception as the last line of a traceback shows it."""

    def message() -> str:
        return str(getattr(error, "msg", "") if issubclass(type(error), SyntaxError) else error)

    return safely(lambda: f"{type(error).__name__}: {safely(message, '')}".rstrip(": "), "an unspeakable exception")


def safely(make: Callable[[], Made], otherwise: Made) -> Made:
    """What `make` returns, `otherwise` if it raises."""
    try:
        return make()
    except BaseException:
        return otherwise

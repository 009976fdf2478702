"""argparse as we use it: examples come first, no option can be abbreviated, values are checked where they enter."""

from __future__ import annotations

import argparse
import json
import os
import sys

from .._protocol import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Commands = argparse._SubParsersAction["Parser"]

LONGEST_TIMEOUT_S = 24 * 60 * 60


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose help begins with `examples`."""

    def __init__(self, *, examples: str = "", **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self._examples = examples

    def format_help(self) -> str:
        """The examples, then what argparse has to say."""
        return f"{self._examples}\n{super().format_help()}" if self._examples else super().format_help()


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= LONGEST_TIMEOUT_S:
        return value
    raise argparse.ArgumentTypeError(f"expected seconds, above 0 and at most {LONGEST_TIMEOUT_S}")


def number(text: str, least: int, most: int, what: str) -> int:
    """A whole number within these bounds; `what` names it."""
    if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected {what}, {least} to {most}")


def json_value(text: str) -> Any:
    """JSON itself, `@FILE`, or `-` for stdin (also `@-`, as for curl)."""
    if text in ("-", "@-"):
        return _decoded(_stdin(), "stdin")
    if text.startswith("@"):
        return json_file(text[1:])
    return _decoded(text.encode("utf-8", "surrogateescape"), "this", _hint(text))


def event_value(text: str) -> Any:
    """As json_value, and also the plain name of a file."""
    if text == "-" or text.startswith("@"):
        return json_value(text)
    is_meant_as_json = text.lstrip().startswith(("{", "[", '"')) or _is_json(text)
    return json_value(text) if is_meant_as_json and not os.path.exists(text) else json_file(text)


def json_file(path: str) -> Any:
    """The JSON value in a file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {path}: {error.strerror}") from None
    return _decoded(content, path)


def _stdin() -> bytes:
    if sys.stdin is None:
        raise argparse.ArgumentTypeError("stdin is closed")
    return sys.stdin.buffer.read()


def _hint(text: str) -> str:
    """What somebody who typed `text` for JSON may have meant."""
    if os.path.isfile(text):
        return f"; to read the file: @{text}"
    if text[:1].isalpha():
        return f"; a JSON string needs its quotes: '{json.dumps(text, ensure_ascii=False)}'; @FILE reads a file"
    return ""


def _is_json(text: str) -> bool:
    try:
        json_text.decode(text.encode("utf-8", "surrogateescape"))
    except json_text.JsonError:
        return False
    return True


def _decoded(content: bytes, what: str, hint: str = "") -> Any:
    try:
        return json_text.decode(content)
    except json_text.JsonError as error:
        raise argparse.ArgumentTypeError(f"{what} is not JSON: {error}{hint}") from None

"""The house rules as tests: who may import whom, what an import loads, and where names live."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seekapi

PACKAGE = Path(seekapi.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

BASE = {"errors"}
WORKER_SIDE = {"errors", "_redaction", "_settings", "_retrying", "_protocol", "_transport", "_backends"}
# A wing, and the wings it may import; its own modules always. For type checkers `_backends` knows Settings too.
MAY_IMPORT = {
    "errors": set(),
    "_redaction": set(),
    "_settings": BASE,
    "_retrying": BASE,
    "_protocol": BASE,
    "_transport": BASE | {"_protocol", "_redaction", "_retrying", ""},
    "_backends": BASE | {"_redaction", "_retrying", "_protocol", "_transport"},
    "_worker": WORKER_SIDE,
    "client": WORKER_SIDE - {"_backends"} | {""},
    # Nothing of the worker's side: it must not be able to cheat.
    "_devserver": BASE | {"_redaction", "_protocol", ""},
    "testing": WORKER_SIDE | {"_worker", "_devserver", "client", ""},
    "_cli": WORKER_SIDE | {"_worker", "_devserver", "client", ""},
    "__main__": {"_cli"},
    "": WORKER_SIDE | {"_worker", "client"},
}
HEAVY = {
    "typing",
    "dataclasses",
    "ssl",
    "http",
    "email",
    "urllib.request",
    "sqlite3",
    "argparse",
    "asyncio",
    "logging",
}
OUTSIDE_WORLD = {
    *("asyncio", "http.client", "http.server", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "select"),
    *("selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"),
    "urllib.request",
}


def wing_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Every module that `path` imports, absolute, and whether only a type checker sees it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = ("seekapi", *path.relative_to(PACKAGE).parts[:-1])
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in for_checkers) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            found += [(f"{base}.{alias.name}", id(node) in for_checkers) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", id(node) in for_checkers))
    return found


def wing_of_import(name: str) -> str:
    first = name.split(".")[1] if "." in name else ""
    return first if first in MAY_IMPORT or (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").exists() else ""


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has loaded after `code`, above what it has after nothing."""
    program = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_wing_imports_only_what_it_may(path):
    """The import table: a lower wing never sees a higher one, and no one sees another author's package."""
    wing = wing_of(path)

    for name, only_types in imports_of(path):
        if name == "pytest" and path == PACKAGE / "testing" / "plugin.py":
            continue  # pytest itself loads it
        if name.split(".")[0] != "seekapi":
            assert name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"
            continue
        target = wing_of_import(name)
        if target == wing or (only_types and target in WORKER_SIDE):
            continue
        assert target in MAY_IMPORT[wing], f"{wing or 'seekapi'} imports {name}"


def test_the_protocol_sees_no_world():
    """What travels is pure: no sockets, files, clocks, chance or environment."""
    for path in MODULES:
        if wing_of(path) in {"_protocol", "_retrying"}:
            named = [name for name, only_types in imports_of(path) if not only_types]
            seen = OUTSIDE_WORLD & {part for name in named for part in (name, name.partition(".")[0])}

            assert not seen, f"{path.name} imports {sorted(seen)}"


def test_only_settings_reads_the_environment():
    """There is one place where a variable's name and default can be found."""
    readers = [
        path.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
        if wing_of(path) not in {"_cli", "testing"}
    ]

    assert set(readers) == {"_settings.py"}


def test_no_module_shares_a_name_with_an_export():
    """A `run.py` beside `run()` would make `from seekapi import run` yield the module."""
    modules = {path.stem for path in PACKAGE.iterdir()}

    assert not modules & set(seekapi.__all__)


def test_the_lists_of_public_names_agree():
    """`__all__`, the lazy table, the type checkers' imports and `dir()` name the same things."""
    tree = ast.parse(Path(seekapi.__file__).read_text(encoding="utf-8"))
    for_checkers = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }

    assert set(seekapi.__all__) == set(seekapi._HOME_OF) == for_checkers
    assert set(seekapi.__all__) <= set(dir(seekapi))
    assert [getattr(seekapi, name).__name__ for name in seekapi.__all__] == seekapi.__all__


def test_an_unknown_name_is_an_attribute_error():
    """A lazy module fails like any other."""
    with pytest.raises(AttributeError, match="module 'seekapi' has no attribute 'nothing'"):
        _ = seekapi.nothing


def test_every_public_error_is_in_the_errors_module_and_the_tree():
    """The drawn tree and the classes are the same."""
    from seekapi import errors

    classes = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, BaseException)}

    assert classes == {name for name in seekapi.__all__ if seekapi._HOME_OF[name] == "errors"}
    assert all(name in errors.__doc__ for name in classes)


def test_importing_the_package_loads_one_module():
    """`import seekapi` costs what an empty file costs."""
    assert modules_after("import seekapi") == {"seekapi"}


def test_importing_run_loads_nothing_heavy():
    """A cold start pays for the job, not for the SDK."""
    loaded = modules_after("from seekapi import run")

    assert not {name for name in loaded if name in HEAVY or name.split(".")[0] in HEAVY}


def test_every_public_name_explains_itself():
    """What users may import has a docstring."""
    for name in seekapi.__all__:
        assert getattr(seekapi, name).__doc__, name


def test_no_file_grows_beyond_what_one_reads():
    """A file that passes 400 lines wants a better shape."""
    assert [path.name for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []

"""docs/ is true: its code runs, its tables say what the code says, its map names every module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import LIMIT_S, ROOT, environ, outcome

import seekapi
from seekapi import errors

PACKAGE = Path(seekapi.__file__).parent
DOCS = sorted((ROOT / "docs").glob("*.md"))


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def first_column(text: str, header: str) -> list[str]:
    """The names in the first column of the table that begins with `header`."""
    rows = text.split(f"| {header} |", 1)[1].partition("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.mark.parametrize(
    "code",
    [code for path in DOCS for code in re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)],
)
def test_the_code_runs_as_it_stands(code, tmp_path):
    """Each Python block, as a program."""
    (tmp_path / "program.py").write_text(code, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=LIMIT_S
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_fields_of_json_are_those_that_the_command_prints(tmp_path):
    """For a job that ran and for one that could not, the fields are the documented ones, in that order."""
    (tmp_path / "worker.py").write_text("def handler(event, context): return 1", encoding="utf-8")
    documented = first_column(text_of("cli.md"), "field | holds")

    assert sorted(outcome("worker.py", cwd=tmp_path)) == sorted(documented)
    assert sorted(outcome("missing.py", cwd=tmp_path)) == sorted(documented)


def test_the_options_of_run_are_those_that_its_help_shows(tmp_path):
    """None is forgotten, none is invented."""
    from command import seekapi as run_command

    shown = set(re.findall(r"--[a-z]+", run_command("run", "-h", cwd=tmp_path).stdout))

    assert {option.split()[0] for option in first_column(text_of("cli.md"), "option | means")} == shown - {"--help"}


def test_the_limit_of_an_import_is_one_and_the_same(tmp_path):
    """The help of --timeout, its row in the table and the code agree."""
    from command import seekapi as run_command

    from seekapi._cli import handler_process

    shown = " ".join(run_command("run", "-h", cwd=tmp_path).stdout.split())
    told = f"importing it may take as long again, and at least {handler_process.SHORTEST_IMPORT_LIMIT_S:g} s"

    assert told in shown
    assert told in text_of("cli.md")


def test_the_codes_of_the_command_are_documented():
    """Every code that the command itself gives, beside those of the verdict."""
    source = "".join((PACKAGE / "_cli" / name).read_text("utf-8") for name in ("verdict.py", "report.py"))
    own = set(re.findall(r'"([A-Z]+_[A-Z]+|INTERRUPTED)"', source))

    assert own and {code for code in own if f"`{code}`" not in text_of("cli.md")} == set()


def test_an_error_that_one_raises_oneself(tmp_path):
    """InvalidInput ends the job as the text says, with its message."""
    (line,) = re.findall(r"`(raise InvalidInput\(.+?\))`", text_of("errors.md"))
    source = f"from seekapi import *\n@worker\ndef handler(job_input):\n    {line}\n"
    (tmp_path / "worker.py").write_text(source, encoding="utf-8")

    error = outcome("worker.py", cwd=tmp_path)["error"]

    assert (error["code"], error["message"]) == ("INVALID_INPUT", "urls must be a list")


def test_what_is_kept_when_a_push_fails(tmp_path):
    """The example of errors.md keeps the data also where it is the disk that fails."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", text_of("errors.md"), re.M | re.S)
    use = """
kept = []
push_or_keep({"job_uuid": "j", "execution_token": "t"}, [1], kept)
assert kept == [("not_sent", None, [1])], kept
"""
    (tmp_path / "program.py").write_text(code + use, encoding="utf-8")
    (tmp_path / "a_file").touch()

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environ(SEEKAPI_LOCAL_MODE="1", SEEKAPI_LOCAL_DIR="a_file"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_table_of_errors_is_complete():
    """Every public exception."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert set(first_column(text_of("errors.md"), "error | means | evidence")) == classes


def test_the_map_of_the_house_names_every_module():
    """A module that is not on the map would not be found, and one that is gone would be sought."""
    house = text_of("architecture.md").split("```text\n", 1)[1].split("```", 1)[0]
    named = set(re.findall(r"\b(\w+\.py)\b", house))

    assert named == {path.name for path in PACKAGE.rglob("*.py")}

"""docs/ is true: its code runs, its tables say what the code says, its map names every module."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import LIMIT_S, ROOT, command, environ, outcome

import seekapi
from seekapi import errors
from seekapi._protocol import lifecycles

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


WORKER = """
from dataclasses import dataclass
from seekapi import worker

@dataclass
class Settings:
    greeting: str = "hello"

@worker(settings=Settings)
def handler(job_input, job):
    job.push_file("report.csv", b"a,b")
    return {"message": f"{job.settings.greeting} {job_input.get('name')}"}
"""


def test_the_lines_of_curl_run_as_they_stand(tmp_path):
    """Each of them, against a server with a worker: in their order, and none is refused."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    (script,) = re.findall(r"^```sh\n(.*?)^```$", text_of("dev-server.md"), re.M | re.S)
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    options = ["worker.py", "--port", "0", "--ephemeral", "--ready-file", "ready"]
    server = subprocess.Popen(command("dev", *options), cwd=tmp_path, env=environ(), stderr=subprocess.DEVNULL)
    try:
        ends_at = time.monotonic() + LIMIT_S
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < ends_at and server.poll() is None
            time.sleep(0.01)
        url = json.loads((tmp_path / "ready").read_text())["jobs_url"]
        assert "url=http://127.0.0.1:8788 " in script
        script = script.replace("http://127.0.0.1:8788", url, 1)
        front = 'set -e\ncurl() { command curl -fsS --noproxy "*" -w "\\n" "$@"; }\n'
        done = subprocess.run(
            ["sh", "-c", front + script], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S
        )
    finally:
        server.kill()
        server.wait()

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for told in ("X-Next:", '{"message": "hello Bob"}', "a,b\n", "event: ended", '"late"', '"greeting": "hi"', '"OK"'):
        assert told in done.stdout, told


def test_the_changes_of_status_that_strict_allows():
    """The table is that of the code."""
    rows = text_of("dev-server.md").split("| from | to |\n|---|---|\n", 1)[1].partition("\n\n")[0].splitlines()
    told = {}
    for row in rows:
        before, after = (re.findall("`([a-z]+)`", cell) for cell in row.split("|")[1:3])
        told |= {status: set(after) for status in before}

    assert told == lifecycles.TRANSITIONS


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
    own = set(re.findall(r'"([A-Z]+_[A-Z]+)"', source))

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

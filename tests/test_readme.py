"""The README is true: its code runs as it stands, and its tables say what the code says."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import LIMIT_S, ROOT, environ, outcome

import seekapi
from seekapi import _settings
from seekapi._cli import exit_codes
from seekapi._protocol import envelopes

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
# This one runs this very suite; a test that ran it would run itself.
INSTALL_AND_TEST = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest\n"


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return [code for name, code in BLOCKS if name == language]


def table(heading: str) -> dict[str, str]:
    """The first column of the first table below a heading, without backticks, and the second."""
    section = README.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows is not None
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]
    return {name.strip("|` "): meaning for name, meaning in cells}


@pytest.fixture
def checkout(tmp_path):
    """What a clean clone has of what the README's commands use."""
    for name in ("src", "examples", "fixtures"):
        if (ROOT / name).exists():  # the installed package is tested without src/
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_block_is_of_a_kind_that_is_tested():
    """A block in another language would be one that nobody runs."""
    assert {name for name, _ in BLOCKS} == {"bash", "python", "json", "text", "console"}
    assert len(BLOCKS) == README.count("```") // 2
    assert blocks("bash")[1] == INSTALL_AND_TEST


@pytest.mark.parametrize("script", [code for code in blocks("bash") if code != INSTALL_AND_TEST])
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_commands_work_as_they_stand(script, checkout):
    """Typed into a shell, in a clean clone."""
    tools = checkout / "tools"
    tools.mkdir()
    installed = checkout / ".venv" / "bin"
    installed.mkdir(parents=True)
    # Only what is there in truth: `seekapi` by itself is on nobody's PATH in a clean clone.
    for path, arguments in ((tools / "python3", ""), (installed / "seekapi", "-m seekapi")):
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        path.chmod(0o755)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=checkout,
        env=environ(PATH=f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_platform_answers_as_shown(checkout):
    """The two consoles: the platform says its banner, and the call prints the result."""
    (serve, *banner), (call, *answer) = [code.splitlines() for code in blocks("console")]
    assert serve.startswith("$ seekapi dev ") and call.startswith("$ seekapi call ")
    serve, call = (line.replace("$ seekapi", f'exec "{sys.executable}" -m seekapi') for line in (serve, call))
    shell = {"cwd": checkout, "env": environ(), "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    server = subprocess.Popen(["bash", "-c", f"{serve} --port 0"], **shell)
    try:
        said = [server.stderr.readline() for _ in range(4)]
        called = subprocess.run(["bash", "-c", call], timeout=LIMIT_S, **shell)
    finally:
        server.terminate()
        server.communicate(timeout=LIMIT_S)

    assert [line.split()[0] for line in banner] == [line.split()[0] for line in said]
    assert called.stdout.splitlines() == answer


@pytest.mark.parametrize("code", blocks("python"))
def test_the_workers_run_as_they_stand(code, tmp_path):
    """Each Python block is a worker.py that completes its job, whatever the input lacks."""
    (tmp_path / "worker.py").write_text(code, encoding="utf-8")

    told = outcome("worker.py", "--input", "{}", cwd=tmp_path)

    assert (told["status"], told["envelope"]["ok"]) == ("completed", True)
    assert len(told["pushes"]) == 1


@pytest.mark.parametrize(
    ("charge", "done"),
    [
        ({"ok": True, "limit_reached": True}, ["a"]),
        ({"ok": True, "limit_reached": False}, ["a", "b"]),
        ({}, ["a", "b"]),
    ],
)
def test_several_pushes_stop_at_the_limit(charge, done, tmp_path):
    """The block with `push_file` uploads what it has done and no more, whatever the fixtures answer."""
    code = next(code for code in blocks("python") if "push_file" in code)
    (tmp_path / "worker.py").write_text(code, encoding="utf-8")
    (tmp_path / "fixtures.json").write_text(json.dumps({"charge": charge}), encoding="utf-8")

    told = outcome("worker.py", "--input", '{"pages": ["a", "b"]}', "--fixtures", "fixtures.json", cwd=tmp_path)

    assert [push["data"]["page"] for push in told["pushes"]] == done
    assert Path(told["files"][0]["path"]).read_text(encoding="utf-8").split("\n") == done


def test_the_pages_of_the_block_have_one_default(tmp_path):
    """Without pages the file holds the page that was pushed."""
    code = next(code for code in blocks("python") if "push_file" in code)
    (tmp_path / "worker.py").write_text(code, encoding="utf-8")

    told = outcome("worker.py", cwd=tmp_path)

    assert Path(told["files"][0]["path"]).read_text(encoding="utf-8") == told["pushes"][0]["data"]["page"]


def test_a_verdict_of_the_users_own(tmp_path):
    """The block with `Fail` does what the text says."""
    code = next(code for code in blocks("python") if "Fail" in code)
    (tmp_path / "worker.py").write_text(code, encoding="utf-8")

    told = outcome("worker.py", "--input", '{"amount": 3}', cwd=tmp_path)

    assert told["envelope"]["error"] == {"code": "NO_STOCK", "message": "only 2 left"}


def test_the_fixtures_and_the_layout(tmp_path):
    """The JSON block answers for the platform, and a job leaves exactly the files that the layout names."""
    (fixtures,) = blocks("json")
    (layout,) = blocks("text")
    (tmp_path / "fixtures.json").write_text(fixtures, encoding="utf-8")
    source = """
        from seekapi import *
        def handler(event, context):
            def work(job_input):
                job = create_context(event)
                push_file(job, "a.txt", b"a")
                return [job_input, charge(job, "k"), get_job_fixture()]
            return run(event, context, work)
    """
    (tmp_path / "worker.py").write_text(inspect.cleandoc(source), encoding="utf-8")

    told = outcome("worker.py", "--fixtures", "fixtures.json", cwd=tmp_path)

    assert told["pushes"][0]["data"] == list(json.loads(fixtures).values())
    found = {path.name for path in Path(told["artifacts"]).iterdir() if not path.name.startswith(".")}
    assert found == {line.split()[0].rstrip("/") for line in layout.splitlines()}


def test_the_table_of_calls_has_the_real_signatures():
    """Every public function, as inspect shows it."""

    def shown(name: str) -> str:
        plain = [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in inspect.signature(getattr(seekapi, name)).parameters.values()
        ]
        return f"{name}{inspect.Signature(plain)}"

    functions = [name for name in seekapi.__all__ if inspect.isfunction(getattr(seekapi, name))]

    assert sorted(table("## The calls")) == sorted(shown(name) for name in functions)


def test_the_time_of_an_upload_is_the_codes():
    """What a file above the limit gets, if no timeout is given."""
    from seekapi._worker import operations

    included, per_second = operations.PUSH_FILE_INCLUDED_BYTES, operations.PUSH_FILE_BYTES_PER_EXTRA_S

    assert (included, per_second) == (8 * 1024**2, 1024**2)
    assert "each MiB above 8 adds a second" in README


def test_the_table_of_variables_is_complete():
    """Every variable that the settings read, and their defaults."""
    read = {value for name, value in vars(_settings).items() if name.isupper() and isinstance(value, str)}
    told = {name for cell in table("## Environment") for name in re.findall(r"[A-Z_]{6,}", cell)}

    own = {name for name in read if name.startswith(("WORKER_", "SEEKAPI_"))}
    assert told == own | {"HTTPS_PROXY", "NO_PROXY"}
    assert str(_settings.DEFAULT_MAX_INPUT_BYTES) in README
    assert _settings.DEFAULT_LOCAL_DIR_NAME in README


def test_the_table_of_error_codes_is_complete():
    """Every code that run() can answer with."""
    codes = {value for name, value in vars(envelopes).items() if name.isupper() and isinstance(value, str)}

    assert set(table("## When a job fails")) == codes | {"*your own*"}


def test_the_table_of_exit_codes_is_complete():
    """Every exit code of the command."""
    codes = {str(value) for name, value in vars(exit_codes).items() if name.isupper()}

    assert set(table("## Run it here")) == codes


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_every_link_leads_somewhere(path):
    """A link to a file of ours that is not there is a broken promise."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []

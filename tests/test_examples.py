"""Every example runs as its own comment says, and leaves what it promises."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
from command import ROOT, outcome, seekapi

from seekapi.testing import DevPlatform, FakeLambdaContext

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def handler_of(name):
    """The handler of an example, to be called by a platform."""
    return runpy.run_path(str(ROOT / "examples" / name))["handler"]


@pytest.fixture(scope="module")
def platform():
    with DevPlatform() as platform:
        yield platform


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the examples need, so that they leave nothing in the tree."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    return tmp_path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_as_its_comment_says(path, checkout):
    """The indented command in the comment on top works as it stands."""
    documented = re.findall(r"^    seekapi (run .+)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert documented
    for line in documented:
        done = seekapi(*shlex.split(line), cwd=checkout)

        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("completed")


def test_hello_greets_whoever_is_named(platform):
    """The smallest worker pushes one object."""
    result = platform.invoke(handler_of("hello.py"), {"name": "Ada"})

    assert result.pushes == [{"message": "hello Ada"}]


def test_csv_profile_tells_what_is_in_the_columns(checkout):
    """One push per column, then the summary; the report is a file; the broken sensor is found."""
    told = outcome("examples/csv_profile.py", "--input", "@fixtures/local/csv_profile_input.json", cwd=checkout)

    *columns, summary = [push["data"] for push in told["pushes"]]
    by_name = {column["column"]: column for column in columns}
    assert summary == {"rows": 366, "columns": 8, "missing": sum(column["missing"] for column in columns)}
    assert by_name["station"]["most_common"] == [["Harbour", 122], ["Old Town", 122], ["Ridge", 122]]
    assert by_name["temp_max_c"]["outliers"] == [-99.9]
    assert by_name["rain_mm"]["missing"] >= 11
    (report,) = told["files"]
    assert (report["name"], report["content_type"]) == ("profile.md", "text/markdown")
    assert Path(report["path"]).read_text(encoding="utf-8").startswith("# 366 rows\n")


@pytest.mark.parametrize(
    ("job_input", "code"),
    [
        ({}, "NO_CSV"),
        ([], "NO_CSV"),
        ({"url": "file:///etc/passwd"}, "NO_CSV"),
        ({"csv": ""}, "BAD_HEADER"),
        ({"csv": "a,a\n1,2\n"}, "BAD_HEADER"),
        ({"csv": "a,b\n1\n"}, "BAD_ROW"),
        ({"path": "missing.csv"}, "WORKER_ERROR"),
    ],
)
def test_csv_profile_says_what_is_wrong_with_its_input(job_input, code, platform):
    """A handler's own verdicts have codes of their own."""
    result = platform.invoke(handler_of("csv_profile.py"), job_input)

    assert (result.ok, result.error["code"]) == (False, code)


def test_csv_profile_takes_the_text_itself(platform):
    """A small CSV can travel in the input; what is no number is text."""
    result = platform.invoke(handler_of("csv_profile.py"), {"csv": "n,t\n1,a|b\nnan,\n"})

    assert [push.get("kind") for push in result.pushes] == ["text", "text", None]


def test_low_level_does_every_step_by_hand(platform):
    """One push and one charge per word, the list as a file, and the documented answer."""
    context = FakeLambdaContext(request_id="r-1")

    result = platform.invoke(handler_of("low_level.py"), {"text": "to be or not to be"}, context=context)

    assert result.envelope == {"ok": True, "request_id": "r-1"}
    assert result.pushes[:2] == [{"word": "to", "count": 2}, {"word": "be", "count": 2}]
    assert [charge["idempotency_key"] for charge in result.charges] == ["word:to", "word:be", "word:or", "word:not"]
    assert result.files[0].read() == b"to,2\nbe,2\nor,1\nnot,1\n"


def test_low_level_stops_at_the_limit_and_reports_failures(platform):
    """limit_reached ends the job; a bad input is a failure, not a crash."""
    with DevPlatform(charge_limit=2) as limited:
        stopped = limited.invoke(handler_of("low_level.py"), {"text": "a b c"})
    failed = platform.invoke(handler_of("low_level.py"), {})

    assert (stopped.error["code"], len(stopped.pushes)) == ("LIMIT_REACHED", 2)
    assert failed.error == {"code": "WORKER_ERROR", "message": "KeyError: 'text'"}


def test_low_level_charges_once_where_an_answer_is_lost(platform):
    """The key is what makes the second try the same charge."""
    faults = {"charge": "response_lost_once"}

    result = platform.invoke(handler_of("low_level.py"), {"text": "a b"}, faults=faults)

    assert result.ok
    assert [(charge["idempotency_key"], charge["count"]) for charge in result.charges] == [("word:a", 1), ("word:b", 1)]
    assert len([call for call in result.requests if call.operation == "charge"]) == 3


def dockerfile() -> list[list[str]]:
    """The instructions of the container example, each as its words."""
    lines = (ROOT / "examples/container/Dockerfile").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def test_the_container_copies_only_what_is_there_and_is_not_root():
    """Every COPY has a source in this tree, and the worker runs as nobody."""
    words = dockerfile()
    sources = [source for line in words if line[0] == "COPY" for source in line[1:-1]]

    # Where the installed package is tested, src/ has been taken away.
    assert [source for source in sources if source != "src" and not (ROOT / source).exists()] == []
    assert [line[1] for line in words if line[0] == "USER"] == ["65534:65534"]
    assert {line[0] for line in words} <= {"FROM", "COPY", "RUN", "WORKDIR", "USER", "ENV", "VOLUME", "ENTRYPOINT"}


def test_the_containers_entry_point_runs(tmp_path):
    """What the image would start works in a folder that holds what the image would hold."""
    words = dockerfile()
    entry = json.loads(" ".join(next(line[1:] for line in words if line[0] == "ENTRYPOINT")))
    variables = dict(line[1].split("=") for line in words if line[0] == "ENV")
    source, name = next(line[1:] for line in words if line[0] == "COPY" and line[1].startswith("examples/"))
    shutil.copy(ROOT / source, tmp_path / name)

    assert entry[0] == "seekapi"
    assert variables == {"SEEKAPI_LOCAL_DIR": "/out"}
    done = seekapi(*entry[1:], "--input", '{"csv": "a\\n1\\n"}', cwd=tmp_path, SEEKAPI_LOCAL_DIR=str(tmp_path / "out"))
    assert done.returncode == 0
    assert len(list(tmp_path.glob("out/*/files/profile.md"))) == 1

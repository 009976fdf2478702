"""Programs written for seekapi 1.0.5 run unchanged: its public names, signatures, results, files and error types.

Source of each fact: the published package and its README.
"""

from __future__ import annotations

import inspect
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from command import LIMIT_S, environ

import seekapi

FIXTURES = {
    "charge": {"ok": True, "metered_event_count": 3, "limit_reached": False},
    "get_job": {"status": "RUNNING", "response_json": {"status": "finished"}},
}
EVENT = {"job_uuid": "job-1", "execution_token": "tok"}
NO_CHARGE = {"ok": True, "metered_event_count": 0, "limit_reached": False}


class LambdaContext:
    aws_request_id = "req-123"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """Each test sets what it needs."""
    for name in ("WORKER_API_BASE_URL", "WORKER_INTERNAL_SECRET", "SEEKAPI_LOCAL_MODE", "SEEKAPI_LOCAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SEEKAPI_LOCAL_FIXTURES", raising=False)


@pytest.fixture
def local_dir(monkeypatch, tmp_path) -> Path:
    """Local mode on; where its artifacts go."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
    monkeypatch.setenv("SEEKAPI_LOCAL_DIR", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.fixture
def event(tmp_path) -> dict[str, str]:
    """An event whose input is a file:// URL, as people use in local mode."""
    path = tmp_path / "input.json"
    path.write_text('{"name": "Ada"}', encoding="utf-8")
    return {**EVENT, "input_presigned_url": path.as_uri()}


@pytest.fixture
def answering() -> Iterator[dict[str, object]]:
    """A real HTTP server that gives one answer; its address is under "url"."""
    answer: dict[str, object] = {"status": 200, "body": b"{}"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(str(answer["status"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        answer["url"] = f"http://127.0.0.1:{server.server_port}/input?X-Amz-Signature=abc"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield answer
        finally:
            server.shutdown()
            thread.join()


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("get_input", "event, timeout=10"),
        ("create_context", "event"),
        ("register_request_id", "job_uuid, request_id, timeout=3"),
        ("get_job_fixture", ""),
        ("charge", "context, idempotency_key, count=1, timeout=8, justification=None"),
        ("push_data", "context, data, type='json', timeout=8"),
        ("push_file", "context, name, local_path, content_type=None, timeout=15"),
        ("success", "request_id=None"),
        ("failure", "code, message, request_id=None"),
        ("run", "event, context, user_fn"),
    ],
)
def test_the_signatures(name, parameters):
    """Whatever was callable, by position or by name, still is; what is new is by name only."""
    found = inspect.signature(getattr(seekapi, name)).parameters.values()
    old = [p for p in found if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    def described(p: inspect.Parameter) -> str:
        default = int(p.default) if isinstance(p.default, float) else p.default
        return p.name if default is inspect.Parameter.empty else f"{p.name}={default!r}"

    assert ", ".join(map(described, old)) == parameters
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is None for p in found if p not in old)
    assert name in seekapi.__all__


def test_the_verdicts():
    """success and failure are these dicts; a request id is in them only if there is one."""
    assert seekapi.success() == seekapi.success("") == {"ok": True}
    assert seekapi.success("req") == {"ok": True, "request_id": "req"}
    assert seekapi.success(request_id=7) == {"ok": True, "request_id": 7}
    assert seekapi.failure("CODE", "text") == {"ok": False, "error": {"code": "CODE", "message": "text"}}
    assert seekapi.failure("C", "t", request_id="req")["request_id"] == "req"


def test_the_quick_start(event, local_dir):
    """A handler of one expression around run()."""

    def handler(event, context):
        return seekapi.run(event, context, lambda input: {"message": f"hello {input.get('name', 'world')}"})

    assert handler(event, LambdaContext()) == {"ok": True, "request_id": "req-123"}
    assert handler(event, None) == {"ok": True}
    assert json.loads((local_dir / "job-1" / "response_json.json").read_text()) == {"message": "hello Ada"}


def test_an_exception_in_the_function_is_a_worker_error(event, local_dir):
    """The verdict carries the text, and nothing is recorded."""
    envelope = seekapi.run(event, LambdaContext(), lambda input: [][1])

    assert envelope["error"] == {"code": "WORKER_ERROR", "message": "list index out of range"}
    assert envelope["request_id"] == "req-123"
    assert not (local_dir / "job-1").exists()


def low_level_handler(event, context):
    """The documented handler without run(): every step by hand."""
    request_id = getattr(context, "aws_request_id", None) if context else None
    job_uuid = (event.get("job_uuid") or "").strip()
    if request_id and job_uuid:
        seekapi.register_request_id(job_uuid, request_id)
    ctx = seekapi.create_context(event)
    try:
        input_data = seekapi.get_input(event)
        seekapi.push_data(ctx, {"result": input_data["name"]})
        return seekapi.success(request_id=request_id)
    except Exception as error:
        return seekapi.failure("WORKER_ERROR", str(error), request_id=request_id)


def test_the_low_level_handler(event, local_dir):
    """It completes, and it reports what goes wrong as its own verdict."""
    done = low_level_handler(event, LambdaContext())
    failed = low_level_handler(EVENT, LambdaContext())

    assert done == {"ok": True, "request_id": "req-123"}
    assert (failed["ok"], failed["error"]["code"], failed["request_id"]) == (False, "WORKER_ERROR", "req-123")
    assert [row["data"] for row in rows(local_dir / "job-1" / "data_pushes.jsonl")] == [{"result": "Ada"}]


def test_local_mode_by_environment_alone(event, tmp_path):
    """`SEEKAPI_LOCAL_MODE=1 ... python worker.py`, without the command that came later."""
    (tmp_path / "fixtures.json").write_text(json.dumps(FIXTURES), encoding="utf-8")
    (tmp_path / "report.txt").write_text("a report", encoding="utf-8")
    source = """
        import json, seekapi
        def work(input):
            ctx = seekapi.create_context(event)
            seekapi.push_data(ctx, {"first": "é"})
            print(seekapi.push_file(ctx, "out/report.txt", "report.txt"))
            print(seekapi.charge(ctx, "page-1", justification={"page": 1}) == FIXTURES["charge"])
            return seekapi.get_job_fixture()
        print(seekapi.run(event, None, work))
    """
    program = f"event = {event!r}\nFIXTURES = {FIXTURES!r}\n{inspect.cleandoc(source)}"
    (tmp_path / "worker.py").write_text(program, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "worker.py"],
        cwd=tmp_path,
        env=environ(
            SEEKAPI_LOCAL_MODE="1",
            SEEKAPI_LOCAL_DIR=str(tmp_path / "out"),
            SEEKAPI_LOCAL_FIXTURES=str(tmp_path / "fixtures.json"),
        ),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    job = tmp_path / "out" / "job-1"
    assert (done.stdout.splitlines(), done.stderr) == (["{'ok': True}", "True", "{'ok': True}"], "")
    assert (job / "response_json.json").read_text(encoding="utf-8") == json.dumps(FIXTURES["get_job"], indent=2)
    assert (job / "files" / "report.txt").read_text(encoding="utf-8") == "a report"
    assert len(rows(job / "data_pushes.jsonl")) == 2


def test_the_rows_of_local_mode(local_dir, tmp_path):
    """Fields and their order, the form of the time, readable text, names that are kept and names on disk."""
    source = tmp_path / "hello.txt"
    source.write_text("hello", encoding="utf-8")
    ctx = seekapi.create_context(EVENT)

    assert seekapi.push_data(ctx, {"text": "é"}, "custom") == {"ok": True}
    assert seekapi.push_file(ctx, "a/hello.txt", str(source)) == {"ok": True}
    assert seekapi.push_file(ctx, "hello.txt", source, "text/x-own") == {"ok": True}

    job = local_dir / "job-1"
    (push,) = rows(job / "data_pushes.jsonl")
    first, second = rows(job / "file_pushes.jsonl")
    assert list(push) == ["pushed_at", "job_uuid", "execution_token", "type", "data"]
    assert list(push.values())[1:] == ["job-1", "tok", "custom", {"text": "é"}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", push["pushed_at"])
    assert "é" in (job / "data_pushes.jsonl").read_text(encoding="utf-8")
    assert list(first) == [
        *("pushed_at", "job_uuid", "execution_token", "name"),
        *("stored_name", "stored_path", "content_type", "size_bytes"),
    ]
    assert (first["name"], first["stored_name"], first["size_bytes"]) == ("a/hello.txt", "hello.txt", 5)
    assert (first["content_type"], second["content_type"]) == ("text/plain", "text/x-own")
    assert second["stored_name"] == "hello-2.txt"
    assert second["stored_path"] == str(job / "files" / "hello-2.txt")
    assert sorted(path.name for path in (job / "files").iterdir()) == ["hello-2.txt", "hello.txt"]


def test_the_default_folder_is_in_the_current_one(event, monkeypatch, tmp_path):
    """.seekapi-local, looked up when the push happens."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
    monkeypatch.chdir(tmp_path)

    assert seekapi.run(event, None, lambda input: 1) == {"ok": True}
    assert (tmp_path / ".seekapi-local" / "job-1" / "response_json.json").read_text() == "1"


def test_the_fixtures(local_dir, monkeypatch, tmp_path):
    """charge and get_job answer from the file, in fresh copies, read anew; without it there are defaults."""
    ctx = seekapi.create_context(EVENT)
    path = tmp_path / "fixtures.json"

    assert (seekapi.charge(ctx, "k"), seekapi.get_job_fixture()) == (NO_CHARGE, {})
    monkeypatch.setenv("SEEKAPI_LOCAL_FIXTURES", str(path))
    path.write_text(json.dumps(FIXTURES), encoding="utf-8")
    seekapi.charge(ctx, "k")["ok"] = "spoilt"
    assert seekapi.charge(ctx, "k") == FIXTURES["charge"]
    monkeypatch.delenv("SEEKAPI_LOCAL_MODE")
    assert seekapi.get_job_fixture() == FIXTURES["get_job"]
    path.write_text('{"get_job": null}', encoding="utf-8")
    assert seekapi.get_job_fixture() == {}


@pytest.mark.parametrize("content", ["[]", "{", '{"get_job": 1}'])
def test_a_fixtures_file_that_is_none_is_a_value_error(content, monkeypatch, tmp_path):
    """Not an object, not JSON, or a member of the wrong kind."""
    path = tmp_path / "fixtures.json"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("SEEKAPI_LOCAL_FIXTURES", str(path))

    with pytest.raises(ValueError):
        seekapi.get_job_fixture()


def test_a_fixtures_file_that_is_missing(monkeypatch):
    """FileNotFoundError, as open() has it."""
    monkeypatch.setenv("SEEKAPI_LOCAL_FIXTURES", "/nowhere/fixtures.json")

    with pytest.raises(FileNotFoundError):
        seekapi.get_job_fixture()


def test_the_context_is_four_strings(monkeypatch):
    """From the event and the environment, stripped; the environment is read when it is asked for."""
    monkeypatch.setenv("WORKER_API_BASE_URL", " https://api.example.com// ")
    monkeypatch.setenv("WORKER_INTERNAL_SECRET", " secret ")

    ctx = seekapi.create_context({"job_uuid": " j ", "execution_token": " t ", "other": 1})

    assert ctx == {
        "job_uuid": "j",
        "execution_token": "t",
        "api_base": "https://api.example.com",
        "secret": "secret",
    }
    assert json.loads(json.dumps(ctx)) == ctx
    assert seekapi.create_context({})["job_uuid"] == ""


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_words_that_turn_local_mode_on(word, monkeypatch):
    """Local mode fills in what a context lacks."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", word)

    ctx = seekapi.create_context(EVENT)

    assert (ctx["api_base"], ctx["secret"]) == ("http://seekapi-local.invalid", "local")


@pytest.mark.parametrize("word", ["", "0", "y", "t", "2", "enabled", "off"])
def test_words_that_do_not(word, monkeypatch):
    """Nothing else does."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", word)

    assert seekapi.create_context(EVENT)["api_base"] == ""


@pytest.mark.parametrize("event", [{}, {"input_presigned_url": ""}, {"input_presigned_url": "  "}])
def test_no_url_is_a_missing_input(event):
    """MissingInputError, which is a ValueError."""
    with pytest.raises(seekapi.MissingInputError) as caught:
        seekapi.get_input(event)

    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [{"a": 1}, [1], "text", 1.5, True, None])
def test_an_input_is_any_json_value(value, answering):
    """Over real HTTP."""
    answering["body"] = json.dumps(value).encode()

    assert seekapi.get_input({"input_presigned_url": answering["url"]}, timeout=5) == value


@pytest.mark.parametrize(
    ("status", "body"), [(403, b""), (404, b"<Error/>"), (200, b""), (200, b"{"), (200, b"\xff\xfe"), (204, b"")]
)
def test_an_input_that_cannot_be_had_is_a_value_error(status, body, answering):
    """HTTP errors and what is not JSON; the message never shows the signature."""
    answering.update(status=status, body=body)

    with pytest.raises(ValueError) as caught:
        seekapi.get_input({"input_presigned_url": answering["url"]}, timeout=5)

    assert "abc" not in str(caught.value)


def test_no_connection_is_a_value_error_around_the_input_and_an_os_error_around_a_push(monkeypatch):
    """`except ValueError` and `except OSError` keep working."""
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("WORKER_API_BASE_URL", base)
        monkeypatch.setenv("WORKER_INTERNAL_SECRET", "secret")
        ctx = seekapi.create_context(EVENT)

        with pytest.raises(ValueError):
            seekapi.get_input({"input_presigned_url": f"{base}/input"}, timeout=0.5)
        with pytest.raises(OSError):
            seekapi.push_data(ctx, {}, timeout=0.5)
        with pytest.raises(OSError):
            seekapi.charge(ctx, "k", timeout=0.5)
        seekapi.register_request_id("job-1", "req", timeout=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"idempotency_key": " "}, "idempotency_key is required"),
        ({"idempotency_key": "k", "count": 0}, "count must be >= 1"),
        ({"idempotency_key": "k", "justification": []}, "justification must be a JSON object"),
    ],
)
def test_a_charge_checks_its_arguments(arguments, message, local_dir):
    """ValueErrors, with the words of 1.0.5 in them."""
    with pytest.raises(ValueError, match=message):
        seekapi.charge(seekapi.create_context(EVENT), **arguments)


def test_local_mode_needs_ids(local_dir):
    """Without them there is no folder to write to: a ValueError, as it was."""
    for call in (lambda ctx: seekapi.push_data(ctx, 1), lambda ctx: seekapi.charge(ctx, "k")):
        with pytest.raises(ValueError, match="requires job_uuid and execution_token"):
            call(seekapi.create_context({}))


def test_registering_without_settings_does_nothing():
    """The one call that is silent where nothing is set."""
    assert seekapi.register_request_id("job-1", "req-1") is None

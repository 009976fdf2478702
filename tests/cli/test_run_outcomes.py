"""`seekapi run`: what it says about what a handler did."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command import LIMIT_S, outcome, seekapi

EVERYTHING = """
    from seekapi import charge, create_context, push_data, push_file, run

    def handler(event, context):
        def work(job_input):
            print("working")
            job_context = create_context(event)
            push_data(job_context, {"n": 1})
            push_data(job_context, [2], type="list")
            push_file(job_context, "a.csv", b"x,y\\n1,2\\n")
            charge(job_context, "page:1", 2, justification={"url": "u"})
            return {"seen": job_input}
        return run(event, context, work)
"""
ECHO = """
    from seekapi import worker

    @worker
    def handler(job_input):
        return {"input": job_input}
"""


def test_the_json_tells_everything_that_the_job_did(write_worker, tmp_path):
    """--json is one object with every push, file and charge, the verdict, the time and where the artifacts lie."""
    write_worker(EVERYTHING)

    told = outcome("worker.py", "--input", '{"a": 1}', "--out", "results", cwd=tmp_path)

    assert (told["status"], told["exit_code"], told["error"]) == ("completed", 0, None)
    assert told["envelope"] == told["returned"] == {"ok": True, "request_id": told["request_id"]}
    assert [(p["type"], p["data"]) for p in told["pushes"]] == [
        ("json", {"n": 1}),
        ("list", [2]),
        ("json", {"seen": {"a": 1}}),
    ]
    (file,) = told["files"]
    assert (file["name"], file["content_type"], file["size_bytes"]) == ("a.csv", "text/csv", 8)
    assert Path(file["path"]).stat().st_size == 8
    (charge,) = told["charges"]
    assert (charge["idempotency_key"], charge["count"], charge["justification"]) == ("page:1", 2, {"url": "u"})
    assert told["artifacts"] == str(tmp_path / "results" / told["job_uuid"])
    assert told["log"] == "working\n"
    assert told["duration_ms"] >= 0


def test_the_page_for_a_person_tells_it_too(write_worker, tmp_path):
    """stdout holds what the job did, stderr what the handler said meanwhile."""
    write_worker(EVERYTHING)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert done.returncode == 0
    assert done.stderr == "working\n"
    for shown in ("completed  worker.py:handler", '{"n": 1}', "(list) [2]", "a.csv   8 B   text/csv", "page:1   x 2"):
        assert shown in done.stdout
    assert str(tmp_path / ".seekapi-local") in done.stdout
    assert "\x1b" not in done.stdout


TYPED = """
    from dataclasses import dataclass
    from seekapi import run, worker
    @dataclass
    class Order:
        name: str
        size: int
    @worker
    def handler(order: Order, job): ...
"""


def test_a_failure_is_told_once_and_each_problem_on_a_line(write_worker, tmp_path):
    """The page has it; as JSON the log has it, too. What is to be done names the target."""
    write_worker(TYPED)

    done = seekapi("run", "worker.py", "--input", '{"name": 1, "size": "; $.a"}', cwd=tmp_path)
    told = outcome("worker.py", "--input", '{"name": 1, "size": "; $.a"}', cwd=tmp_path)

    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == [
        "  INVALID_INPUT: 2 problems:",
        "    $.name: expected string, got integer",
        "    $.size: expected integer, got string",
        "    correct the --input; `seekapi schema worker.py:handler` shows what the handler takes",
    ]
    assert "ERROR job failed: INVALID_INPUT" in told["log"]


def test_a_failure_that_the_page_does_not_tell_is_in_the_log(write_worker, tmp_path):
    """The handler has overcome it, or has gone on to say more: then its record is shown in its place."""
    write_worker(TYPED + """
    def overcome(event, context):
        handler(event, context)
        return {"ok": True}
    def talkative(event, context):
        try:
            return handler(event, context)
        finally:
            print("the end")
    """)  # fmt: skip

    overcome = seekapi("run", "worker.py:overcome", cwd=tmp_path)
    talkative = seekapi("run", "worker.py:talkative", cwd=tmp_path)

    assert "ERROR job failed: INVALID_INPUT" in overcome.stderr and "completed" in overcome.stdout
    assert talkative.stderr.index("ERROR job failed") < talkative.stderr.index("the end")


def test_many_pushes_do_not_drown_the_page(write_worker, tmp_path):
    """A person sees the first ten and how many more there are; the lines stay on one line."""
    write_worker("""
        from seekapi import create_context, push_data, run

        def handler(event, context):
            def work(job_input):
                for number in range(40):
                    push_data(create_context(event), {"number": number, "text": "x" * 500})
            return run(event, context, work)
    """)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert "... and 30 more" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 200


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        ([], None, {}),
        (["--input", '{"a": "é"}'], None, {"a": "é"}),
        (["--input", "null"], None, None),
        (["--input", "@input.json"], None, [1, 2]),
        (["--input", "-"], '{"from": "stdin"}', {"from": "stdin"}),
        (["--input", "@-"], '{"from": "stdin"}', {"from": "stdin"}),
        (["--fixtures", "fixtures.json"], None, {"from": "fixtures"}),
        (["--fixtures", "fixtures.json", "--input", "7"], None, 7),
        (["--event", "event.json"], None, [1, 2]),
        (["--event", "@event.json"], None, [1, 2]),
        (["--event", '{"input_presigned_url": "input.json"}'], None, [1, 2]),
        (["--event", "-"], '{"input_presigned_url": "input.json"}', [1, 2]),
        (["--event", "event.json", "--input", "8"], None, 8),
    ],
)
def test_where_the_input_comes_from(arguments, stdin, expected, write_worker, tmp_path):
    """--input wins over the event, the event over the fixtures, and nothing at all is `{}`."""
    write_worker(ECHO)
    write_worker("[1, 2]", "input.json")
    write_worker('{"input": {"from": "fixtures"}}', "fixtures.json")
    write_worker('{"input_presigned_url": "input.json", "job_uuid": "job-7"}', "event.json")

    told = outcome("worker.py", *arguments, cwd=tmp_path, stdin=stdin)

    assert told["pushes"][0]["data"] == {"input": expected}
    assert told["job_uuid"] == "job-7" or "event.json" not in arguments


def test_an_input_that_no_job_takes_is_refused_by_its_name(write_worker, tmp_path):
    """And not by that of a file that nobody knows."""
    write_worker(ECHO)
    write_worker(json.dumps("x" * 100), "large.json")

    told = outcome("worker.py", "--input", "@large.json", cwd=tmp_path, SEEKAPI_MAX_INPUT_BYTES="50")

    assert (told["exit_code"], told["status"]) == (3, "unusable")
    assert told["error"]["message"] == "--input is larger than 50 bytes, which SEEKAPI_MAX_INPUT_BYTES can raise"


def test_an_event_without_an_input_fails_as_on_the_platform(write_worker, tmp_path):
    """A whole event is taken at its word: what it lacks is not made up, ids aside."""
    write_worker(ECHO)
    write_worker("{}", "event.json")

    told = outcome("worker.py", "--event", "event.json", cwd=tmp_path)

    assert (told["exit_code"], told["error"]["code"]) == (1, "MISSING_INPUT")


def test_a_save_within_one_second_is_another_program(write_worker, tmp_path):
    """Python tells its caches by whole seconds and sizes: an edit must not run the old code, of whichever file."""
    answers = []
    for n in (1, 2, 3):
        for name, source in (
            ("worker.py", f"import part\ndef handler(e, c): return [{n}, part.n]"),
            ("part.py", f"n={n}"),
        ):
            os.utime(write_worker(source, name), (1_900_000_000, 1_900_000_000))
        answers.append(outcome("worker.py", cwd=tmp_path)["returned"])

    assert answers == [[1, 1], [2, 2], [3, 3]]


def test_only_what_this_run_added_is_told(write_worker, tmp_path):
    """A job that has run before has its rows on disk; they are not told again."""
    write_worker(ECHO)
    write_worker('{"job_uuid": "again"}', "event.json")

    first = outcome("worker.py", "--event", "event.json", "--input", "1", cwd=tmp_path)
    second = outcome("worker.py", "--event", "event.json", "--input", "2", cwd=tmp_path)

    assert first["artifacts"] == second["artifacts"]
    assert [push["data"] for push in second["pushes"]] == [{"input": 2}]


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("worker.py", "worker.py"),
        ("worker.py:other", "worker.py"),
        ("folder/worker.py:handler", "folder/worker.py"),
        ("package.module:handler", "package/module.py"),
        ("module", "module.py"),
        ("json.py", "json.py"),
    ],
)
def test_the_forms_of_a_target(target, place, write_worker, tmp_path):
    """A file, a file and a name, a module and a name; a file may be called like a module that everybody uses."""
    write_worker(
        """
        from beside import VALUE
        def handler(event, context):
            return VALUE
        other = handler
        """,
        place,
    )
    beside = "beside.py" if place.startswith("package") else os.path.join(os.path.dirname(place), "beside.py")
    write_worker("import json\nVALUE = json.loads('[1]')", beside)

    told = outcome(target, cwd=tmp_path)

    assert told["returned"] == [1]


@pytest.mark.parametrize("value", [None, 0, "text", [1], {"statusCode": 200}, {"ok": True}], ids=repr)
def test_any_lambda_handler_is_shown_with_what_it_returned(value, write_worker, tmp_path):
    """A handler that has nothing to do with seekapi runs too; any JSON value is a good answer."""
    write_worker(f"def handler(event, context):\n    return {value!r}")

    told = outcome("worker.py", cwd=tmp_path)

    assert (told["status"], told["returned"], told["pushes"]) == ("completed", value, [])


def test_an_event_may_be_any_json_value(write_worker, tmp_path):
    """For handlers that are not ours the event is what they say it is."""
    write_worker("def handler(event, context):\n    return event")
    write_worker("[1, 2]", "event.json")

    assert outcome("worker.py", "--event", "event.json", cwd=tmp_path)["returned"] == [1, 2]
    assert seekapi("run", "worker.py", "--event", "event.json", "--input", "1", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("job_uuid", [5, "..", ".", "", "a/../../b", "x" * 300, "\u0000"], ids=repr)
def test_a_hostile_job_id_stays_in_the_folder(job_uuid, write_worker, tmp_path):
    """Whatever the event says, the command neither crashes nor writes outside of --out."""
    write_worker(ECHO)
    write_worker(json.dumps({"job_uuid": job_uuid}), "event.json")

    told = outcome("worker.py", "--event", "event.json", "--input", "1", "--out", "a/b/out", cwd=tmp_path)

    assert told["exit_code"] in (0, 1)
    assert told["error"] is None or told["error"]["code"] in ("INVALID_EVENT", "WORKER_ERROR")
    assert [path.name for path in (tmp_path / "a").rglob("*") if "out" not in path.parts] in ([], ["b"])


def test_the_context_is_what_lambda_gives(write_worker, tmp_path):
    """aws_request_id and the rest are there, and the remaining time shrinks from the given timeout."""
    write_worker("""
        import time
        def handler(event, context):
            before = context.get_remaining_time_in_millis()
            time.sleep(0.05)
            return [before, context.get_remaining_time_in_millis(), context.aws_request_id, context.function_name,
                    context.memory_limit_in_mb, context.invoked_function_arn]
    """)

    told = outcome("worker.py", "--timeout", "2.5", cwd=tmp_path)

    before, after, request_id, name, *_ = told["returned"]
    assert 1000 < before <= 2500
    assert before - after >= 49
    assert (request_id, name) == (told["request_id"], "handler")


@pytest.mark.parametrize(
    ("body", "exit_code", "code", "message"),
    [
        ("return {'a': [1, object]}", 1, "NOT_JSON", "result.a[1] is of type type"),
        ("return float('nan')", 1, "NOT_JSON", "NaN"),
        # What our own calls convert, Lambda does not.
        ("import datetime; return {'at': datetime.date(2026, 1, 1)}", 1, "NOT_JSON", "date is not JSON serializable"),
        ("return {1, 2}", 1, "NOT_JSON", "set is not JSON serializable"),
        ("raise KeyError('name')", 1, "HANDLER_RAISED", "KeyError: 'name'"),
        ("raise SystemExit(0)", 1, "HANDLER_RAISED", "SystemExit: 0"),
        ("import os; os._exit(7)", 1, "CRASHED", "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", 1, "CRASHED", "SIGKILL (Killed); was it out of memory?"),
        ("return seekapi.failure('NO_STOCK', 'only 2 left')", 1, "NO_STOCK", "only 2 left"),
        ("return {'ok': False}", 1, "NO_REASON", "gave no reason"),
        ("return {'ok': False, 'error': 'only words'}", 1, "WORKER_ERROR", "only words"),
        ("return seekapi.failure('CONFIGURATION_ERROR', 'no')", 3, "CONFIGURATION_ERROR", "no"),
        ("return seekapi.failure('TIMEOUT', 'too slow')", 5, "TIMEOUT", "too slow"),
        ("return seekapi.run(event, context, lambda job_input: 1 / 0)", 1, "WORKER_ERROR", "division by zero"),
    ],
)
def test_how_a_job_can_fail(body, exit_code, code, message, write_worker, tmp_path):
    """The exit code says whose turn it is, the error what happened; nobody sees a green page."""
    write_worker(f"import seekapi\ndef handler(event, context):\n    {body}")

    told = outcome("worker.py", cwd=tmp_path)

    assert told["status"] == ("timeout" if exit_code == 5 else "failed")
    assert (told["exit_code"], told["error"]["code"]) == (exit_code, code)
    assert message in told["error"]["message"]


def test_a_raised_error_names_the_users_line(write_worker, tmp_path):
    """The line is the user's own, also if the fault is deep in the standard library; the traceback goes to stderr."""
    write_worker("""
        import json
        def handler(event, context):
            return json.loads("{")
    """)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert 'at worker.py:4   return json.loads("{")' in done.stdout
    assert "JSONDecodeError" in done.stderr
    assert "handler_process.py" not in done.stderr


def test_a_failure_inside_run_names_the_users_line(write_worker, tmp_path):
    """run() answers instead of raising; the line is known all the same, and told once, as are traceback and message."""
    write_worker("""
        from seekapi import worker
        @worker
        def handler(job_input):
            return {"name": job_input["name"]}
    """)

    told = outcome("worker.py", cwd=tmp_path)
    done = seekapi("run", "worker.py", cwd=tmp_path)

    place = ("worker.py:5", 'return {"name": job_input["name"]}')
    assert (told["error"]["where"], told["error"]["line"]) == place
    assert f"at {place[0]}   {place[1]}" in done.stdout
    assert done.stdout.count("KeyError: 'name'") == 1
    assert "returned" not in done.stdout
    assert done.stderr.count("Traceback") == 1
    assert "job failed: WORKER_ERROR" in done.stderr


def test_a_verdict_of_the_users_own_has_a_place_and_no_traceback(write_worker, tmp_path):
    """Fail is meant: the log says it and where it was raised, and that is all."""
    write_worker("""
        from seekapi import Fail, worker
        @worker
        def handler(job_input):
            raise Fail("NO_STOCK", "only 2 left")
    """)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    said, place = outcome("worker.py", cwd=tmp_path)["log"].splitlines()
    assert said[8:] == " ERROR job failed: NO_STOCK: only 2 left"
    assert place == '  at worker.py:5   raise Fail("NO_STOCK", "only 2 left")'
    assert 'NO_STOCK: only 2 left\n    at worker.py:5   raise Fail("NO_STOCK", "only 2 left")' in done.stdout


def test_the_users_own_logging_is_left_alone(write_worker, tmp_path):
    """A worker that has configured logging gets its own lines, each once, and the place is found all the same."""
    write_worker("""
        import logging
        from seekapi import worker
        logging.basicConfig(format="mine %(levelname)s %(name)s")
        @worker
        def handler(job_input):
            return 1 / 0
    """)

    told = outcome("worker.py", cwd=tmp_path)

    first, *trace = told["log"].splitlines()
    assert first == "mine ERROR seekapi"
    assert (trace[0], trace[-1]) == ("Traceback (most recent call last):", "ZeroDivisionError: division by zero")
    assert told["error"]["where"] == "worker.py:7"


def test_a_failure_that_was_overcome_lends_its_place_to_no_other(write_worker, tmp_path):
    """The place belongs to the failure that is told, not to the last one that was logged."""
    write_worker("""
        from seekapi import failure, run
        def handler(event, context):
            run(event, context, lambda job_input: 1 / 0)
            return failure("OTHER", "for another reason")
    """)

    error = outcome("worker.py", cwd=tmp_path)["error"]

    assert error == {"code": "OTHER", "message": "for another reason", "where": None, "line": None}


def test_the_page_shows_an_answer_that_says_more_than_the_error(write_worker, tmp_path):
    """An envelope is left out only if it repeats what stands above it."""
    write_worker("""
        def handler(event, context):
            return {"ok": False, "error": {"code": "A", "message": "b", "hint": "look here"}}
    """)

    assert "look here" in seekapi("run", "worker.py", cwd=tmp_path).stdout


def test_decimal_numbers_are_numbers_as_in_lambda(write_worker, tmp_path):
    """The one type beyond those of `json` that its client takes."""
    write_worker("from decimal import Decimal\ndef handler(event, context):\n    return [Decimal('1.50'), Decimal(7)]")

    told = outcome("worker.py", cwd=tmp_path)

    assert (told["status"], told["returned"]) == ("completed", [1.5, 7])


def test_an_async_handler_is_told_that_nobody_awaits_it(write_worker, tmp_path):
    """`async def handler` would fail on Lambda too; the message says why."""
    write_worker("async def handler(event, context):\n    return 1")

    told = outcome("worker.py", cwd=tmp_path)

    assert "not awaited" in told["error"]["message"]
    assert "never awaited" not in told["log"]


def test_results_that_cannot_be_kept_fail_the_job(write_worker, tmp_path):
    """A job whose folder cannot be made is no success."""
    write_worker(ECHO)
    write_worker('{"job_uuid": "job-7"}', "event.json")
    write_worker("", "out/job-7")

    told = outcome("worker.py", "--event", "event.json", "--input", "1", "--out", "out", cwd=tmp_path)

    assert (told["exit_code"], told["error"]["code"]) == (1, "DELIVERY_FAILED")
    assert "SEEKAPI_LOCAL_DIR" in told["error"]["message"]


@pytest.mark.parametrize("place", ["a_file", "a_file/below", "/dev/null/below", "dangling"])
@pytest.mark.parametrize("how", ["--out", "SEEKAPI_LOCAL_DIR"])
def test_a_place_that_cannot_be_written_is_refused_before_the_handler_runs(how, place, write_worker, tmp_path):
    """Work that could not be kept is not begun; the message names what led there."""
    write_worker("print('imported')")
    write_worker("", "a_file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")

    if how == "--out":
        told = outcome("worker.py", "--out", place, cwd=tmp_path)
    else:
        told = outcome("worker.py", cwd=tmp_path, SEEKAPI_LOCAL_DIR=place)

    assert (told["exit_code"], told["error"]["code"], told["log"]) == (3, "CONFIGURATION_ERROR", "")
    assert told["error"]["message"].startswith(f"{how}: cannot write to ")
    assert place in told["error"]["message"]


def test_looking_whether_a_place_can_be_written_leaves_nothing(write_worker, tmp_path):
    """A handler that keeps nothing makes no folder, and none is made for it."""
    write_worker("def handler(event, context): return 1")

    told = outcome("worker.py", "--out", "deep/out", cwd=tmp_path)

    assert (told["exit_code"], told["artifacts"]) == (0, None)
    assert {path.name for path in tmp_path.iterdir()} <= {"worker.py", "__pycache__"}


MANY = """
from dataclasses import dataclass
@dataclass
class Handler:
    a: int
def tidy(event, context): ...
def handle(event, context): ...
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", ["ModuleNotFoundError: No module named 'no_such_module'", "at worker.py:1"]),
        ("x = 1\ndef f(:", ["SyntaxError: invalid syntax", "at worker.py:2   def f(:"]),
        ("import json\njson.loads('{')", ["JSONDecodeError", "at worker.py:2   json.loads('{')"]),
        ("import sys\nsys.exit(4)", ["SystemExit: 4", "at worker.py:2"]),
        ("from seekapi import nothing", ["cannot import name 'nothing'", "at worker.py:1"]),
        ("def main(event, context): ...", ["has no 'handler'", "did you mean worker.py:main?"]),
        (MANY, ["did you mean worker.py:handle or worker.py:tidy?"]),
        ("class handler: ...", ["worker.py:handler is a class, and no handler(event, context)"]),
        ("handler = 3", ["is not a function but int"]),
        (
            "def handler(job_input: 'a long story' = 'of many words'): ...",
            ["(job_input) cannot be called as handler(event, context)", "@seekapi.worker"],
        ),
    ],
)
def test_a_handler_that_cannot_be_imported(source, said, write_worker, tmp_path):
    """The reason and the user's own line, and no traceback of ours: exit code 3, stdout empty."""
    write_worker(source)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert done.returncode == 3
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in said:
        assert part in done.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere.py", "there is no file nowhere.py"),
        ("nowhere:handler", "there is no module 'nowhere'"),
        ("worker.handler", "worker:handler"),
        ("nothing.txt", "its name must end in .py"),
        ("not a module", "is no target"),
        ("hello.txt", "hello.txt is no handler file: its name must end in .py"),
        ("hello-1.txt", "hello-1.txt is no handler file: its name must end in .py"),
        ("pkg/hello.txt", "pkg/hello.txt is no handler file: its name must end in .py"),
        ("pkg/hello:handler", "there is no file pkg/hello; did you mean pkg/hello.py:handler?"),
        ("pkg/other:handler", "there is no file pkg/other"),
    ],
)
def test_a_target_that_is_not_there(target, said, write_worker, tmp_path):
    """A wrong name is told with what was looked for; exit code 3, also as JSON."""
    write_worker(ECHO)
    for name in ("hello.txt", "hello-1.txt", "pkg/hello.txt", "pkg/hello.py"):
        write_worker(ECHO, name)

    told = outcome(target, cwd=tmp_path)

    assert (told["exit_code"], told["status"]) == (3, "unusable")
    assert said in told["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--fixtures", "missing.json"], {}, "--fixtures names a file that is not there"),
        (["--fixtures", "worker.py"], {}, "is not JSON"),
        (["--fixtures", "odd_charge.json"], {}, "['charge'] must be a JSON object"),
        (["--fixtures", "odd_job.json"], {}, "['get_job'] must be a JSON object"),
        ([], {"SEEKAPI_LOCAL_FIXTURES": "missing.json"}, "SEEKAPI_LOCAL_FIXTURES"),
        ([], {"SEEKAPI_MAX_INPUT_BYTES": "many"}, "SEEKAPI_MAX_INPUT_BYTES"),
        ([], {"AWS_LAMBDA_FUNCTION_NAME": "production"}, "inside AWS Lambda"),
    ],
)
def test_wrong_settings_run_nothing(arguments, variables, said, write_worker, tmp_path):
    """A setting that is wrong is exit code 3 before the handler is even imported."""
    write_worker("print('imported')")
    write_worker('{"charge": 3}', "odd_charge.json")
    write_worker('{"get_job": []}', "odd_job.json")

    told = outcome("worker.py", *arguments, cwd=tmp_path, **variables)

    assert (told["exit_code"], told["error"]["code"], told["log"]) == (3, "CONFIGURATION_ERROR", "")
    assert said in told["error"]["message"]


def test_an_unknown_member_of_the_fixtures_is_told_once(write_worker, tmp_path):
    """`inputs` for `input` would be an empty input, in silence. It is no error, and said once though asked often."""
    write_worker("""
        from seekapi import get_job_fixture, worker
        @worker
        def handler(job_input):
            return [job_input, get_job_fixture()]
    """)
    write_worker('{"inputs": {"name": "Ada"}}', "fixtures.json")

    done = seekapi("run", "worker.py", "--fixtures", "fixtures.json", cwd=tmp_path)

    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    for part in ("seekapi: ", "fixtures.json", '"inputs"', '"input", "charge", "get_job"'):
        assert part in line


def test_local_mode_never_reaches_the_platform(write_worker, tmp_path):
    """Whatever the environment says, `seekapi run` writes files: production cannot be hit by accident."""
    write_worker(ECHO)
    production = {"WORKER_API_BASE_URL": "http://127.0.0.1:9", "WORKER_INTERNAL_SECRET": "not-a-secret"}

    told = outcome("worker.py", cwd=tmp_path, SEEKAPI_LOCAL_MODE="0", **production)

    assert told["status"] == "completed"


def test_what_the_handler_prints_cannot_corrupt_the_json(write_worker, tmp_path):
    """print, a raw write to descriptor 1 and a child's output all go to stderr; stdout is one JSON object."""
    write_worker("""
        import os, subprocess, sys
        print("at import")
        def handler(event, context):
            print("printed")
            os.write(1, b"written\\n")
            subprocess.run([sys.executable, "-c", "print('from a child')"])
            sys.stdout = None
            return 1
    """)

    done = seekapi("run", "worker.py", "--json", cwd=tmp_path)

    assert json.loads(done.stdout)["log"] == done.stderr == "at import\nprinted\nwritten\nfrom a child\n"


def test_a_long_log_is_cut_and_says_so(write_worker, tmp_path):
    """The JSON stays of a size that one can read; the live output is whole. Bytes that are not UTF-8 are escaped."""
    write_worker("""
        import os
        def handler(event, context):
            os.write(1, b"\\xff")
            for _ in range(64):
                print("x" * 8191)
    """)

    done = seekapi("run", "worker.py", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)

    assert told["log_is_cut"] is True
    assert len(told["log"]) == 256 * 1024
    assert done.stderr.startswith("\\xff")
    assert len(done.stderr) == 64 * 8192 + 4


def test_secrets_stay_out_of_the_outcome(write_worker, tmp_path):
    """The execution token and the internal secret are in no field, also if the handler prints or raises them."""
    write_worker("""
        import os
        from seekapi import run
        def handler(event, context):
            print(event, os.environ["WORKER_INTERNAL_SECRET"])
            run(event, context, lambda job_input: None)
            raise ValueError(event["execution_token"] + os.environ["WORKER_INTERNAL_SECRET"])
    """)
    write_worker('{"execution_token": "token-0123456789", "job_uuid": "j"}', "event.json")

    done = seekapi(
        *("run", "worker.py", "--event", "event.json", "--input", "1", "--json"),
        cwd=tmp_path,
        WORKER_INTERNAL_SECRET="secret-0123456789",
    )

    assert "token-0123456789" not in done.stdout
    assert "secret-0123456789" not in done.stdout
    assert json.loads(done.stdout)["error"]["message"] == "ValueError: ******"


@pytest.mark.skipif(sys.platform == "win32", reason="the process group is a POSIX thing")
def test_the_command_ends_with_the_handler(write_worker, tmp_path):
    """Threads and children that the handler leaves behind neither keep the command nor outlive it."""
    write_worker("""
        import subprocess, sys, threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(300,)).start()
            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid
    """)

    told = outcome("worker.py", cwd=tmp_path)

    assert is_gone(told["returned"])


def is_gone(pid: int) -> bool:
    """Whether no such process runs; one that only waits to be collected by init counts as gone."""
    import time

    for _ in range(20 * LIMIT_S):
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_no_traceback_is_promised_where_there_is_none(write_worker, tmp_path):
    """What is found after the handler has returned has a place in nobody's code."""
    write_worker("""
        from seekapi import worker

        @worker
        async def handler(job_input, job):
            job.push_data(1)
    """)

    told = seekapi("run", "worker.py", cwd=tmp_path)

    assert "not awaited, so nothing of it was delivered: job.push_data() at worker.py:6" in told.stdout
    assert "traceback" not in told.stdout

"""The rows where the caller is at fault: URLs, settings, ids, names, data, and the user's own function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .expect import EITHER, GETS, ONCE, Expect, Row, no

BY_HAND = no(
    "InputFetchError",
    "ArgumentError",
    "ConfigurationError",
    codes=("INPUT_UNAVAILABLE", "INVALID_EVENT"),
    requests=(0, 0),
)
BAD_JOB = no("ArgumentError", "ConfigurationError", codes=("INVALID_EVENT",), requests=(0, 0), effects=0)
NO_CONFIG = no("ConfigurationError", codes=("CONFIGURATION_ERROR",), requests=(0, 0), effects=0)
NOT_JSON = no(
    "SerializationError", codes=("WORKER_ERROR", "DELIVERY_FAILED", "INVALID_OUTPUT"), requests=(0, 0), effects=0
)
DATA_OPS = ("push_data", "charge", "run_api")


def _url(name: str, url: str, must: str = "only http and https, and nothing of it is shown", **more: Any) -> Row:
    return Row(name, must, more.pop("get", BY_HAND), ops=GETS, fault="", scene={"url": url}, **more)


def _file(row: str, must: str, expect: Expect, *, timeout_s: float = 5.0, **file: Any) -> Row:
    return Row(row, must, post=expect, ops=("push_file",), fault="", timeout_s=timeout_s, scene={"file": file})


def _data(name: str, must: str, expect: Expect = NOT_JSON) -> Row:
    what = name.removeprefix("data_")
    return Row(name, must, post=expect, ops=DATA_OPS, fault="", scene={"data": what, "handler": what})


def _unset(name: str, variable: str) -> Row:
    expect = replace(NO_CONFIG, says=(variable.lower(), "seekapi_local_mode=1"))
    return Row(name, "no silent success; the variable is named", post=expect, fault="", scene={"unset": [variable]})


INPUTS = [
    _url("url_file_scheme", "file:///etc/hostname?{query}"),
    _url("url_data_scheme", "data:application/json,%7B%7D?{query}"),
    _url("url_imds", "http://169.254.169.254/latest/?{query}", "the machine's own metadata is never asked"),
    _url("url_with_space", "{base}/in put.json?{query} x"),
    _url("url_no_scheme", "127.0.0.1/input?{query}"),
    _url(
        "url_non_ascii",
        "{base}/é.json?{query}",
        get=replace(BY_HAND, outcome="either", codes=("", *BY_HAND.codes), requests=None),
    ),
    _url(
        "url_userinfo",
        "http://us3r-name:pa55-word-zz@{host}/input.json?{query}",
        get=replace(BY_HAND, outcome="either", codes=("", *BY_HAND.codes), requests=None),
    ),
    Row(
        "secret_with_newline",
        "typed, before anything is sent, and not shown",
        post=NO_CONFIG,
        fault="",
        scene={"env": {"WORKER_INTERNAL_SECRET": "{secret}\nX-Injected: yes"}},
    ),
    _unset("secret_unset", "WORKER_INTERNAL_SECRET"),
    _unset("base_unset", "WORKER_API_BASE_URL"),
    Row("job_uuid_traversal", "no other route is reached", post=BAD_JOB, fault="", scene={"job": "../../admin?x="}),
    Row(
        "job_uuid_crlf", "nothing is injected", post=BAD_JOB, fault="", scene={"job": "j1 HTTP/1.1\r\nX-Injected: yes"}
    ),
    _file(
        "file_name_crlf",
        "refused or escaped, never a header of its own",
        replace(EITHER, errors=("ArgumentError", "DeliveryError")),
        name='a"\r\nX-Injected: yes\r\n\r\nb.txt',
    ),
    _file(
        "file_ct_crlf",
        "checked",
        no("ArgumentError", requests=(0, 0)),
        name="a.txt",
        content_type="text/plain\r\nX-Injected: yes",
    ),
    _file(
        "file_missing",
        "found out before anything is sent",
        no("FileNotFoundError", requests=(0, 0)),
        name="a.txt",
        path="/nowhere/at/all",
    ),
    _file(
        "file_is_fifo",
        "refused, and never waited for",
        no("ArgumentError", "OSError", requests=(0, 0), at_most_s=1.0),
        name="a.txt",
        make="fifo",
    ),
    _file("file_100mb", "streamed", ONCE, name="big.bin", make="sparse", timeout_s=30.0),
    _data("data_nan", "refused before anything is sent"),
    _data("data_unserialisable", "refused before anything is sent"),
    _data("data_deep", "refused before anything is sent"),
    _data("data_surrogate", "travels as an escape", ONCE),
]

USER = no(codes=("WORKER_ERROR",), effects=0)
BAD_EVENT = no("ArgumentError", codes=("INVALID_EVENT",), requests=(0, 0))


def _user(name: str, must: str, **more: Any) -> Row:
    return Row(
        name,
        must,
        post=replace(USER, **more),
        ops=("run_api",),
        fault="",
        scene={"handler": name.removeprefix("user_fn_")},
    )


def _event(name: str, expect: Expect, **change: Any) -> Row:
    return Row(name, "an envelope, never a traceback", get=expect, ops=GETS, fault="", scene={"event_change": change})


RUN = [
    _user("user_fn_raises_secret", "masked in the envelope"),
    _user("user_fn_raises_url", "the query is masked"),
    _user("user_fn_bad_str", "an envelope all the same", says=("badstr",)),
    _user("user_fn_sys_exit", "an envelope, not an exit", says=("systemexit",)),
    _user("user_fn_recursion", "an envelope", says=("recursion",)),
    _user("user_fn_memory", "an envelope", says=("memoryerror",)),
    _user("user_fn_huge_message", "2 KiB of message at most"),
    Row("event_none", "an envelope, never a traceback", get=BAD_EVENT, ops=GETS, fault="", scene={"event": None}),
    Row(
        "event_job_uuid_int",
        "an envelope",
        get=BAD_EVENT,
        ops=("run_input",),
        fault="",
        scene={"event_change": {"job_uuid": 7}},
    ),
    _event(
        "event_url_int",
        replace(BY_HAND, codes=("INVALID_EVENT", "INPUT_UNAVAILABLE", "MISSING_INPUT")),
        input_presigned_url=7,
    ),
    Row(
        "event_url_missing",
        "an envelope",
        get=no("MissingInputError", codes=("MISSING_INPUT",), requests=(0, 0)),
        ops=GETS,
        fault="",
        scene={"event_change": {"input_presigned_url": " "}},
    ),
    Row(
        "remaining_time_0",
        "no time left: fails at once, nothing is sent",
        no("InputFetchError", codes=("TIMEOUT", "NO_TIME"), requests=(0, 0), at_most_s=0.25),
        no("DeliveryError", codes=("TIMEOUT", "NO_TIME"), requests=(0, 0), effects=0, at_most_s=0.25),
        fault="",
        timeout_s=0,
        remaining_ms=0,
    ),
]

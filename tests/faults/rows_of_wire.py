"""The rows of `wire_faults.py`: connections, framing, time."""

from __future__ import annotations

from .expect import (
    DELIVERY,
    INPUT,
    LATE_DELIVERY,
    LATE_INPUT,
    NOT_SENT,
    OK,
    ONCE,
    REJECTED,
    SHORT,
    TLS,
    UNKNOWN,
    Expect,
    Row,
    also,
    rows,
)

# Loopback as no address is written: it goes through the resolver of the system, which needs no network for it.
NAME = "127.1"

CONNECT = [
    Row("refused", "typed, and tried again within the budget", INPUT, also(NOT_SENT, "ConnectError"), **SHORT),
    Row(
        "refused_once",
        "a refused connection is tried again by every operation",
        OK,
        ONCE,
        scene={"trouble": "refused_once"},
    ),
    Row(
        "connect_blackhole",
        "typed at the deadline",
        LATE_INPUT,
        also(LATE_DELIVERY, "ConnectError", "TransportTimeout"),
        **SHORT,
    ),
    Row(
        "dns_fail",
        "typed; the message names the host only",
        INPUT,
        also(NOT_SENT, "DnsError", says=(NAME,)),
        fault="",
        scene={"trouble": "dns_fail"},
        stage={"name": NAME},
        **SHORT,
    ),
    Row(
        "dns_tempfail_once",
        "EAI_AGAIN is tried again",
        OK,
        ONCE,
        fault="",
        scene={"trouble": "dns_tempfail_once"},
        stage={"name": NAME},
    ),
    Row(
        "dns_slow",
        "a lookup has no timeout of its own, the call has",
        LATE_INPUT,
        also(LATE_DELIVERY, "ConnectError", "TransportTimeout"),
        fault="",
        scene={"trouble": "dns_slow"},
        stage={"name": NAME},
        **SHORT,
    ),
    *rows(
        "accept_close rst_on_accept",
        "typed, and tried again",
        also(INPUT, connections=(2, 4)),
        also(DELIVERY, "TransportError", connections=(2, 6)),
        **SHORT,
    ),
    Row("accept_close_once", "no byte of an answer: tried again, one effect", OK, ONCE),
    Row(
        "no_read_body",
        "sending is bounded by the deadline",
        None,
        also(LATE_DELIVERY, "TransportTimeout"),
        ops=("push_data", "push_file", "run_api"),
        scene={"data": "big", "handler": "big", "file_bytes": 8_000_000},
        **SHORT,
    ),
    Row(
        "early_413_rst",
        "413 is final and shown, even when the upload broke on it",
        None,
        also(REJECTED, "PayloadTooLargeError", requests=(1, 1), told={"status": 413, "outcome": "rejected"}),
        scene={"file_bytes": 8_000_000, "data": "big", "handler": "big"},
        ops=("push_data", "push_file", "run_api"),
    ),
]

FRAMING = [
    Row("control_ok", "nothing is wrong", OK, ONCE, fault=""),
    Row("control_tls", "nothing is wrong, over verified TLS", OK, ONCE, fault="", **TLS),
    *rows(
        "rst_mid_headers rst_mid_body truncated_length truncated_chunked",
        "typed; tried again under the same key, one effect",
        also(INPUT, requests=(2, 3)),
        also(UNKNOWN, "TransportError", requests=(2, 3), effects=1),
    ),
    Row("rst_mid_body_once", "tried again: one effect", OK, ONCE),
    *rows("chunked_ok close_delimited_ok continue_100_first early_hints_103", "good HTTP", OK, ONCE),
    *rows(
        "chunked_bad_size no_status_line two_content_lengths",
        "not HTTP: typed, garbage not quoted",
        INPUT,
        also(DELIVERY, "ProtocolError"),
        **SHORT,
    ),
    *rows(
        "header_flood_count header_line_huge", "over a limit: typed", INPUT, also(DELIVERY, "ProtocolError"), **SHORT
    ),
    Row("continue_100_flood", "interim answers are bounded", LATE_INPUT, also(LATE_DELIVERY, "ProtocolError"), **SHORT),
    Row(
        "content_length_10g", "no memory is taken on trust", LATE_INPUT, also(LATE_DELIVERY, "TransportError"), **SHORT
    ),
    Row("body_80mb", "the cap holds while streaming", INPUT, also(DELIVERY, "ProtocolError")),
]

TIME = [
    *rows(
        "stall_headers stall_body drip_body drip_headers",
        "typed at the total deadline",
        LATE_INPUT,
        also(LATE_DELIVERY, "TransportTimeout", told={"outcome": "unknown"}),
        **SHORT,
    ),
    Row("stall_headers_once", "one attempt may not eat the whole budget", OK, ONCE),
    Row(
        "frozen_mid_request",
        "thawed within the deadline: the answer, once",
        OK,
        ONCE,
        timeout_s=8.0,
        remaining_ms=20000,
        ops=("get_input", "push_data", "charge", "run_api", "run_input"),
    ),
    Row(
        "frozen_past_deadline",
        "thawed past the deadline: an answer or a typed error at once",
        Expect("either", ("InputFetchError",), codes=("", "INPUT_UNAVAILABLE", "TIMEOUT")),
        Expect("either", ("DeliveryError",), codes=("", "DELIVERY_FAILED", "TIMEOUT"), effects=1),
        fault="frozen_mid_request",
        ops=("get_input", "push_data", "charge", "push_file"),
        timeout_s=2.0,
    ),
    Row("slow_ok_1s", "slow is not wrong: one request", also(OK, requests=(1, 1)), also(ONCE, requests=(1, 1))),
]

"""The rows of `answer_faults.py`: statuses, redirects, bodies."""

from __future__ import annotations

from .expect import DELIVERY, EITHER, INPUT, OK, ONCE, REJECTED, TLS, UNKNOWN, Expect, Row, also, rows

STATUS = [
    *rows(
        "http_500_once http_502_once http_503_once http_504_once http_429_once http_408_once",
        "tried again under the same key: one effect",
        also(OK, requests=(2, 2)),
        also(ONCE, requests=(2, 2)),
    ),
    Row(
        "http_429_retry_after_1s", "waits as long as it was told", also(OK, at_least_s=1.0), also(ONCE, at_least_s=1.0)
    ),
    Row("http_429_retry_after_date", "waits until the date", also(OK, at_least_s=0.9), also(ONCE, at_least_s=0.9)),
    Row(
        "http_429_retry_after_3600",
        "what does not fit is not waited for",
        also(INPUT, requests=(1, 1), at_most_s=1.0),
        also(REJECTED, "RateLimitError", requests=(1, 1), at_most_s=1.0, told={"retry_after": 3600.0, "status": 429}),
    ),
    Row("http_429_retry_after_junk", "junk is not a delay", OK, ONCE),
    Row(
        "http_503_forever",
        "three attempts at most",
        also(INPUT, requests=(2, 3)),
        also(DELIVERY, "ServerError", requests=(2, 3), told={"status": 503}),
    ),
    Row(
        "http_500_forever_processed",
        "the same key on all attempts",
        also(INPUT, requests=(2, 3)),
        also(UNKNOWN, "ServerError", requests=(2, 3), effects=1, told={"status": 500, "outcome": "unknown"}),
    ),
    Row(
        "http_400",
        "final",
        also(INPUT, requests=(1, 1), told={"status": 400}),
        also(
            REJECTED,
            "InvalidRequestError",
            requests=(1, 1),
            told={"status": 400, "code": "CODE_400", "outcome": "rejected"},
        ),
    ),
    Row(
        "http_401",
        "final",
        also(INPUT, requests=(1, 1), told={"status": 401}),
        also(REJECTED, "AuthError", requests=(1, 1), told={"status": 401}),
    ),
    Row(
        "http_403_expired_xml",
        "final; says that the URL is past its time",
        also(INPUT, "InputExpired", says=("expired",), requests=(1, 1), told={"status": 403, "code": "AccessDenied"}),
        also(REJECTED, "AuthError", requests=(1, 1)),
    ),
    Row(
        "http_403_sig_xml",
        "final; the storage's code and nothing that it quotes",
        also(INPUT, says=("signaturedoesnotmatch",), requests=(1, 1), told={"code": "SignatureDoesNotMatch"}),
        also(REJECTED, "AuthError", requests=(1, 1)),
    ),
    Row(
        "http_403_skew_xml",
        "final; hints at the clock",
        also(INPUT, says=("clock",), requests=(1, 1)),
        also(REJECTED, "AuthError", requests=(1, 1)),
    ),
    Row(
        "http_404_xml",
        "final",
        also(INPUT, says=("nosuchkey",), requests=(1, 1), told={"status": 404, "code": "NoSuchKey"}),
        also(REJECTED, "NotFoundError", requests=(1, 1)),
    ),
    Row(
        "http_409",
        "final",
        also(INPUT, requests=(1, 1)),
        also(REJECTED, "ConflictError", requests=(1, 1), told={"code": "CODE_409"}),
    ),
    *rows(
        "http_err_echoes_secrets http_reason_echoes_secret",
        "what a server echoes is masked",
        also(INPUT, requests=(1, 1)),
        also(REJECTED, "InvalidRequestError", requests=(1, 1)),
    ),
    Row("http_204", "nothing to say: fine for a POST, no input for a GET", INPUT, ONCE),
    Row("http_206_partial", "a part is not the input", INPUT, EITHER),
    Row("http_304", "nothing was asked conditionally", INPUT, DELIVERY),
    Row("http_301_no_location", "typed; names the storage's code", also(INPUT, says=("permanentredirect",)), DELIVERY),
]

FOLLOWS = also(OK, requests=(2, 2))
NO_FOLLOW = also(DELIVERY, "ApiError", requests=(1, 1), effects=0)
ELSEWHERE = Expect("either", ("InputFetchError",), codes=("", "INPUT_UNAVAILABLE"))
REFUSED_HOP = also(INPUT, requests=(1, 1))

REDIRECTS = [
    *rows(
        "redirect_301_same_host redirect_302_same_host redirect_303_same_host "
        "redirect_307_same_host redirect_308_same_host",
        "the input follows; a POST never does",
        FOLLOWS,
        NO_FOLLOW,
    ),
    *rows(
        "redirect_301_cross_host redirect_302_cross_host redirect_307_cross_host redirect_308_cross_host",
        "nothing of ours to another host",
        ELSEWHERE,
        NO_FOLLOW,
    ),
    Row(
        "redirect_302_other_port",
        "another port is another origin",
        ELSEWHERE,
        NO_FOLLOW,
        stage={"other_host": "127.0.0.1"},
    ),
    *rows(
        "redirect_302_file redirect_302_ftp redirect_302_imds",
        "only http and https, never to the machine's own metadata",
        REFUSED_HOP,
        NO_FOLLOW,
    ),
    Row("redirect_loop", "three hops at most", also(INPUT, requests=(2, 4)), NO_FOLLOW),
    Row("redirect_https_to_http", "never down to plain HTTP", REFUSED_HOP, NO_FOLLOW, **TLS),
    Row("redirect_crlf_location", "no header is smuggled in", ELSEWHERE, DELIVERY),
]

PAYLOAD = [
    Row("gzip_body", "stored compressed: unpacked", OK, EITHER),
    Row("gzip_corrupt", "typed", INPUT, DELIVERY),
    *rows("gzip_bomb_600mb gzip_swelling_64mb", "unpacked under the cap", INPUT, DELIVERY),
    Row("brotli_body", "typed; names the coding", also(INPUT, says=("br",)), DELIVERY),
    *rows(
        "invalid_utf8 utf16_body json_nan json_deep_100k json_huge_int_5k json_trailing_junk",
        "typed, quotes nothing",
        INPUT,
        also(UNKNOWN, effects=1),
    ),
    Row("json_huge_int_4m", "typed within a second", also(INPUT, at_most_s=1.5), UNKNOWN),
    Row("html_200", "typed; names the type", also(INPUT, says=("html",)), also(UNKNOWN, says=("html",))),
    *rows("utf8_bom json_dup_keys json_lone_surrogate wrong_content_type", "accepted", OK, ONCE),
    Row("empty_200", "nothing: fine for a POST, no input for a GET", INPUT, ONCE),
    Row(
        "ok_false_200",
        "ok: false is a failure of a POST",
        OK,
        also(REJECTED, "ApiError", effects=0, told={"code": "LIMIT"}),
    ),
]

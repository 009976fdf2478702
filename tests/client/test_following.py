"""Waiting and following: until the end, until the deadline, across troubles that pass."""

from __future__ import annotations

import json

import pytest
from transport.loopback import Peer

from seekapi import ApiError, Client, NotFoundError, ServerError, TransportError, TransportTimeout
from seekapi.client import following


def reply(body: object, status: int = 200) -> bytes:
    raw = json.dumps(body).encode()
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw


def job(status: str) -> bytes:
    return reply({"job_id": "j", "status": status})


def in_turn(*replies: bytes):
    """Answers in this order, over however many connections, the last one again and again."""
    left = list(replies)

    def script(peer: Peer) -> None:
        while peer.read_request():
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def test_a_final_job_is_not_waited_for(serve, jobs_with, clock):
    """One request."""
    server = serve(in_turn(job("error")))

    assert jobs_with(server.url).wait("j").status == "error"
    assert (len(server.requests), clock.pauses) == (1, [])


def test_the_pauses_grow_up_to_a_limit(serve, jobs_with, clock):
    """A service that answers at once is asked ever less often."""
    server = serve(in_turn(*[job("processing")] * 20, job("completed")))

    assert jobs_with(server.url).wait("j").ok
    assert clock.pauses[0] == following.FIRST_PAUSE_S
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == following.LONGEST_PAUSE_S


def test_a_service_that_holds_its_answer_is_asked_again_at_once(serve, jobs_with, clock):
    """It is asked to hold it, but for the first, and whether it did shows in the time it took."""

    def script(peer: Peer) -> None:
        for status, held_s in (("queued", 0), ("queued", 20), ("processing", 20), ("completed", 20)):
            peer.read_request()
            clock.now += held_s
            peer.send(job(status))

    server = serve(script)

    assert jobs_with(server.url).wait("j", timeout=100).ok
    assert clock.pauses == []
    assert [head.partition(b"Prefer: wait=")[2][:2] for head, _ in server.requests] == [b"", b"25", b"25", b"25"]


def test_the_deadline_of_a_wait_is_total(serve, jobs_with, clock):
    """Pauses, questions and answers together; the last pause is no longer than what is left."""
    server = serve(in_turn(job("processing")))

    with pytest.raises(TransportTimeout, match=r"job j is still processing after 12\.5 s") as caught:
        jobs_with(server.url).wait("j", timeout=12.5)

    assert isinstance(caught.value, TimeoutError)
    assert sum(clock.pauses) == pytest.approx(12.5)


def test_a_service_that_was_there_may_be_gone_for_a_while(serve, jobs_with, clock):
    """It is restarted: a wait goes on."""
    trouble = reply({}, 503)
    server = serve(in_turn(job("queued"), *[trouble] * 9, job("completed")))

    assert jobs_with(server.url).wait("j").ok


def test_one_that_goes_away_during_the_first_held_answer_may_be_gone_as_well(serve, jobs_with, clock):
    """It has answered before: what may take long is not what is asked first."""

    def script(peer: Peer) -> None:
        while asked := peer.read_request():
            if b"Prefer: wait" in asked[0] and not went:
                went.append(asked[0])
                return  # killed, while it held its answer back
            peer.send(job("completed" if went else "queued"))

    went: list[bytes] = []
    server = serve(script)

    assert jobs_with(server.url).wait("j").ok
    assert len(went) == 1


def test_one_that_stays_away_is_given_up(serve, jobs_with, clock):
    """After half a minute, with its own trouble, long before the deadline."""
    server = serve(in_turn(job("queued"), reply({}, 503)))

    with pytest.raises(ServerError):
        jobs_with(server.url).wait("j")

    assert 29 < clock.now - 1000 < 60


def test_one_that_says_when_to_come_back_is_busy_and_not_away(serve, jobs_with, clock):
    """It is asked again when it said, for as long as the wait may take."""
    busy = reply({}, 503).replace(b"\r\n", b"\r\nRetry-After: 100\r\n", 1)
    server = serve(in_turn(job("queued"), busy, busy, busy, job("completed")))

    assert jobs_with(server.url).wait("j").ok
    assert clock.pauses == [100, 100, 100]


def test_one_that_is_busy_to_the_end_is_waited_for_until_then(serve, jobs_with, clock):
    """The deadline holds, whatever pause it asks for."""
    busy = reply({}, 503).replace(b"\r\n", b"\r\nRetry-After: 3600\r\n", 1)
    server = serve(in_turn(job("queued"), busy))

    with pytest.raises(TransportTimeout, match="still queued after 90 s"):
        jobs_with(server.url).wait("j", timeout=90)

    assert sum(clock.pauses) == pytest.approx(90)


def test_one_that_was_never_there_is_given_up_at_once(serve, jobs_with, clock):
    """A wrong URL is not waited for."""
    server = serve(in_turn(reply({}, 503)))

    with pytest.raises(ServerError):
        jobs_with(server.url).wait("j")

    assert len(server.requests) == 3


def test_a_job_that_is_gone_ends_the_wait(serve, jobs_with):
    """What is refused for good is not asked again."""
    server = serve(in_turn(job("queued"), reply({"message": "job_id(j) not found"}, 404)))

    with pytest.raises(NotFoundError):
        jobs_with(server.url).wait("j")


def page(*numbers: int, ended: bool = False, **more: object) -> bytes:
    rows = [{"seq": n, "kind": "log" if n % 2 else "push", "at": n, "data": {"message": f"m{n}"}} for n in numbers]
    return reply({"events": rows, "ended": ended, "next": max(numbers, default=0), **more})


def test_events_come_once_and_in_order(serve, jobs_with, clock):
    """Each page is asked for behind the last event, until the job has ended."""
    server = serve(in_turn(page(1, 2), page(2, 3), page(), page(4), page(ended=True)))

    assert [event.seq for event in jobs_with(server.url).events("j")] == [1, 2, 3, 4]
    asked = [head.split(b" ")[1].partition(b"after=")[2].partition(b"&")[0] for head, _ in server.requests]
    assert asked == [b"0", b"2", b"3", b"3", b"4"]


def test_without_following_it_ends_where_the_events_do(serve, jobs_with, clock):
    """And asks nobody to hold an answer."""
    server = serve(in_turn(page(1, 2), page()))

    assert [event.seq for event in jobs_with(server.url).events("j", follow=False)] == [1, 2]
    assert clock.pauses == []
    assert not any(b"Prefer" in head for head, _ in server.requests)


def test_logs_are_the_events_of_that_kind(serve, jobs_with):
    """Also where the service knows no filter."""
    server = serve(in_turn(page(1, 2, 3, ended=True)))

    assert [event.text for event in jobs_with(server.url).logs("j")] == ["m1", "m3"]
    assert b"kinds=log" in server.requests[0][0]


def test_a_filtered_page_moves_on_all_the_same(serve, jobs_with):
    """Events that were left out are not asked for again."""
    server = serve(in_turn(reply({"events": [], "next": 900, "ended": False}), page(901, ended=True)))

    assert [event.seq for event in jobs_with(server.url).events("j")] == [901]
    assert b"after=900" in server.requests[1][0]


@pytest.mark.parametrize("answer", [page(1), page(), reply({"events": [{}]}), reply({"events": [], "next": -5})])
def test_a_service_that_never_ends_is_followed_to_the_deadline(serve, jobs_with, clock, answer):
    """The same page for ever, nothing for ever, nonsense for ever: pauses in between, and an end."""
    server = serve(in_turn(answer))

    with pytest.raises(TransportTimeout, match="job j has not ended after 60 s"):
        list(jobs_with(server.url).events("j", timeout=60))

    assert len(server.requests) < 40


@pytest.mark.parametrize("answer", [reply([]), reply({"events": 7}), reply({"events": [7]})])
def test_what_is_no_page_of_events_is_an_error(serve, jobs_with, answer):
    """Not an empty one."""
    server = serve(in_turn(answer))

    with pytest.raises(ApiError, match="not a list of events"):
        list(jobs_with(server.url).events("j"))


def test_a_wait_in_real_time(service, client):
    """Against a service that only has the protocol, with the real clock."""
    row = service.add({}, "processing")
    service.on_get = lambda job: job.update(status="completed") if len(service.requests) == 3 else None

    assert client.jobs.wait(row["job_id"], timeout=30).ok
    assert len(service.requests) == 3


def test_silence_ends_a_wait_at_its_deadline(serve):
    """A service that takes the request and says nothing."""
    server = serve(lambda peer: peer.wait_for_the_end())

    with Client(server.url) as client, pytest.raises(TransportError):
        client.jobs.wait("j", timeout=0.4)

"""Exchanges in the background: they share the waiting of others, and cost nobody anything."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from seekapi import errors
from seekapi._transport import Policy, driver
from seekapi._transport import transport as transport_module

from .loopback import API, INPUT, OK, get, interrupt, interrupting, post, soon


def test_two_requests_share_the_time_that_both_wait(serve, transport):
    """The input is answered only after the registration has been: one thread, both in flight."""
    registered = threading.Event()

    def register(peer):
        peer.read_request()
        registered.set()
        peer.send(OK)

    def give_input(peer):
        peer.read_request()
        assert registered.wait(20)
        peer.send(OK)

    api, storage = serve(register), serve(give_input)

    transport.start(post(api.url), soon(), API)
    assert transport.send(get(storage.url), soon(), INPUT).body == b"{}"
    transport.settle()

    assert len(api.requests) == 1


def test_what_follows_uses_the_connection_of_the_background(serve, transport, monkeypatch):
    """Registration and push: one connection, also when the push comes a moment before the registration's answer."""
    monkeypatch.setattr(transport_module, "WORTH_WAITING_S", 10.0)
    server = serve(lambda peer: peer.answer_all())
    storage = serve(lambda peer: peer.answer_all())

    for _ in range(5):
        transport.start(post(server.url + "/register"), soon(), API)
        transport.send(get(storage.url), soon(), INPUT)
        transport.send(post(server.url + "/push"), soon(), API)
        transport.settle()

    assert (server.connections, storage.connections) == (1, 1)
    assert len(server.requests) == 10


def test_what_follows_waits_a_moment_for_that_connection(serve, transport, monkeypatch):
    """An answer that is almost there is cheaper to wait for than a fresh connection is to open."""
    pushing = threading.Event()

    def register(peer):
        peer.read_request()
        pushing.wait(20)
        threading.Event().wait(0.05)
        peer.send(OK)
        peer.answer_all()

    server = serve(register)
    storage = serve(lambda peer: peer.answer_all())
    monkeypatch.setattr(transport_module, "WORTH_WAITING_S", 10.0)
    transport.start(post(server.url + "/register"), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    pushing.set()
    transport.send(post(server.url + "/push"), soon(), API)

    assert server.connections == 1


def test_a_slow_background_does_not_hold_up_what_follows(serve, transport, monkeypatch):
    """A push waits for the registration's connection at most as long as a fresh one would take."""
    server = serve(lambda peer: peer.wait_for_the_end(), lambda peer: peer.answer_all())
    storage = serve(lambda peer: peer.answer_all())
    monkeypatch.setattr(transport_module, "WORTH_WAITING_S", 0.0)

    transport.start(post(server.url), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    assert transport.send(post(server.url), soon(), API).body == b"{}"
    assert server.connections == 2


def test_nothing_outlives_settle(serve, transport):
    """After it no exchange is in flight and no descriptor of one is open."""
    ended = threading.Event()

    def script(peer):
        peer.wait_for_the_end()
        ended.set()

    server = serve(script)
    storage = serve(lambda peer: peer.answer_all())
    transport.start(post(server.url), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    transport.settle()

    assert ended.wait(20)


def test_settle_takes_what_is_there(serve, transport):
    """An answer that has arrived is read, and its connection kept."""
    answered = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(OK)
        answered.set()
        peer.answer_all()

    server = serve(script)
    storage = serve(lambda peer: [peer.read_request(), answered.wait(20), peer.send(OK)])
    transport.start(post(server.url), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    transport.settle()
    transport.send(post(server.url), soon(), API)

    assert server.connections == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://", "nonsense", "http://a b/"])
def test_start_never_raises(transport, url):
    """What becomes of it is nobody's trouble."""
    transport.start(post(url), soon(), API)
    transport.settle()


def test_a_failing_background_does_not_touch_the_call_in_front(serve, transport):
    """Refused, cut, or judged wrong: the send beside it succeeds."""

    def judge(response):
        raise RuntimeError("a broken judge")

    storage = serve(lambda peer: [peer.read_request(), threading.Event().wait(0.3), peer.send(OK)])
    cutting = serve(lambda peer: peer.read_request())
    answering = serve(lambda peer: peer.answer_all())
    transport.start(post("http://127.0.0.1:1/"), soon(), API)
    transport.start(post(cutting.url), soon(), API)
    transport.start(post(answering.url), soon(), Policy(judge=judge, response_bytes=100))

    assert transport.send(get(storage.url), soon(), INPUT).body == b"{}"


def test_a_background_call_is_retried_while_others_wait(serve, transport):
    """A registration that is refused once is sent again, if there is time."""
    done = threading.Event()

    def second(peer):
        peer.read_request()
        peer.send(OK)
        done.set()

    api = serve(lambda peer: peer.reset(), second)
    storage = serve(lambda peer: [peer.read_request(), done.wait(20), peer.send(OK)])

    transport.start(post(api.url), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    assert len(api.requests) == 1


def test_a_signal_during_both_ends_both_cleanly(serve, transport):
    """An exception out of a signal handler closes what was in flight, and the next call works."""

    class Stop(BaseException):
        pass

    def raise_stop(signum, frame):
        raise Stop

    silent = serve(lambda peer: peer.wait_for_the_end(), lambda peer: peer.answer_all())
    storage = serve(interrupting, lambda peer: peer.answer_all())
    previous = signal.signal(signal.SIGALRM, raise_stop)
    try:
        transport.start(post(silent.url), soon(), API)
        with pytest.raises(Stop):
            transport.send(get(storage.url), soon(), INPUT)
    finally:
        signal.signal(signal.SIGALRM, previous)
    transport.settle()

    assert len(transport._pool) == 0
    assert transport.send(get(storage.url), soon(), INPUT).body == b"{}"


def test_a_signal_handler_may_send(serve, transport):
    """A call inside a call, on the same thread: both get their own answers."""
    inner = []
    silent = serve(lambda peer: peer.wait_for_the_end())
    fast = serve(lambda peer: peer.answer_all())
    called = threading.Event()
    storage = serve(lambda peer: [peer.read_head(), interrupt(), called.wait(20), peer.send(OK)])

    def push(signum, frame):
        inner.append(transport.send(post(fast.url), soon(), API).body)
        called.set()

    previous = signal.signal(signal.SIGALRM, push)
    try:
        transport.start(post(silent.url), soon(), API)
        assert transport.send(get(storage.url), soon(), INPUT).body == b"{}"
    finally:
        signal.signal(signal.SIGALRM, previous)

    assert inner == [b"{}"]


def test_another_thread_does_not_pump_it(serve, transport):
    """A background exchange belongs to the thread that started it."""
    server = serve(lambda peer: peer.answer_all())
    storage = serve(lambda peer: peer.answer_all())
    failures = []

    def elsewhere():
        try:
            transport.send(get(storage.url), soon(), INPUT)
            transport.settle()
        except errors.SeekApiError as error:
            failures.append(error)

    transport.start(post(server.url), soon(), API)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(30)
    assert (failures, server.requests) == ([], [])
    transport.send(get(storage.url), soon(), INPUT)
    transport.settle()

    assert len(server.requests) <= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_drops_the_background_of_its_parent(serve, transport, monkeypatch):
    """The parent's exchange is the parent's: the child must not take its answer away."""
    monkeypatch.setattr(transport_module, "WORTH_WAITING_S", 10.0)
    released = threading.Event()

    def register(peer):
        peer.read_request()
        released.wait(20)
        peer.send(OK)
        peer.answer_all()

    def give_input(peer):
        while peer.read_request():
            if len(storage.requests) == 2:
                # The child is waiting for this answer while the parent's comes in.
                released.set()
                threading.Event().wait(0.2)
            peer.send(OK)

    server, storage = serve(register), serve(give_input)
    transport.start(post(server.url), soon(), API)
    transport.send(get(storage.url), soon(), INPUT)

    pid = os.fork()
    if pid == 0:
        ok = False
        try:
            ok = transport.send(get(storage.url), soon(), INPUT).body == b"{}"
            transport.settle()
        finally:
            os._exit(0 if ok else 1)
    _, child_status = os.waitpid(pid, 0)
    transport.send(post(server.url), soon(), API)

    assert child_status == 0
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_task_that_is_being_stepped_is_left_alone():
    """A signal handler may send, or settle, in the middle of a step: the task is not taken for ended."""
    ended_meanwhile = []

    def steps():
        task.step([])
        task.abandon()
        ended_meanwhile.append(task.done)
        yield (), 0.0

    task = driver.Task(steps())
    task.step(None)

    assert (ended_meanwhile, task.done) == ([False], False)


def test_what_fails_in_the_background_does_not_use_up_the_retries_of_others(serve, make_transport):
    """A registration that always fails is nobody's trouble: the push that follows is still tried again."""
    ended = threading.Event()
    jobs = []

    def failing(peer):
        while peer.read_request():
            jobs.append(1)
            peer.send(b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n")
            if len(jobs) % 3 == 0:
                ended.set()

    def give_input(peer):
        while peer.read_request():
            assert ended.wait(20)
            ended.clear()
            peer.send(OK)

    api, storage = serve(failing), serve(give_input)
    once = serve(lambda peer: peer.read_request(), lambda peer: peer.answer_all())
    transport = make_transport()

    for _ in range(5):
        transport.start(post(api.url), soon(), API)
        transport.send(get(storage.url), soon(), INPUT)
        transport.settle()

    assert len(api.requests) == 15
    assert transport.send(post(once.url), soon(), API).body == b"{}"

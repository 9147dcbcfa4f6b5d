"""The main thread of a worker process: what it hears and says while its crew drains."""

from __future__ import annotations

import pickle
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import cast

import pytest

from taskwire_worker.child import _Child
from taskwire_worker.control import (
    Drain,
    Ended,
    FromChild,
    Go,
    Observed,
    Renewed,
    ToChild,
    Unclaimed,
)
from taskwire_worker.crew import Crew
from taskwire_worker.hands import Hands
from taskwire_worker.lease import RenewedLease
from taskwire_worker.observation import Observation


class DrainingCrew:
    """Drains until a cancel has come, and has something to report only then."""

    def __init__(self) -> None:
        self.started = False
        self.cancelled: list[tuple[bytes, int]] = []
        self.unclaimed = 0
        self._cancel = threading.Event()

    def start(self) -> None:
        self.started = True

    def cancel(self, task_id: bytes, attempt: int) -> None:
        self.cancelled.append((task_id, attempt))
        self.unclaimed = 3
        self._cancel.set()

    def drain(self, grace_s: float) -> bool:
        return self._cancel.wait(grace_s)

    def finish(self, timeout_s: float) -> None:
        """Nothing is unwritten."""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A worker process handles them in its own way."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def child_of(crew: DrainingCrew, pipe: Connection) -> _Child:
    return _Child(
        pipe,
        Hands(cast(Crew, crew), close=lambda: None),
        RenewedLease(60),
        Observation(),
        default_grace_s=60,
    )


def heard_by_the_supervisor(pipe: Connection) -> list[FromChild]:
    """All of it: the last word is the end."""
    heard: list[FromChild] = []
    while not isinstance(heard[-1] if heard else None, Ended):
        heard.append(pipe.recv())
    return heard


def drained(crew: DrainingCrew, *messages: ToChild) -> list[FromChild]:
    """What the process says that is told to drain, and then this."""
    ours, theirs = (Connection(end.detach()) for end in socket.socketpair())
    with ours, theirs, ThreadPoolExecutor(1) as others:
        supervisor = others.submit(heard_by_the_supervisor, ours)
        for message in (Drain(20), *messages):
            ours.send(message)
        child_of(crew, theirs).work()
        return supervisor.result(20)


def test_a_process_that_drains_hears_and_reports() -> None:
    crew = DrainingCrew()
    heard = drained(crew, Renewed(0.0, ((b"task", 2),)))

    assert crew.cancelled == [(b"task", 2)]
    assert Unclaimed(3) in heard
    assert isinstance(heard[-2], Observed)


def test_a_process_that_drains_does_not_begin_to_work() -> None:
    crew = DrainingCrew()
    drained(crew, Go(0.0), Renewed(0.0, ((b"task", 2),)))

    assert not crew.started


def test_a_large_message_goes_in_one_piece() -> None:
    """Between two pieces a handler may have the lock of Python, and keep it."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with ours, Connection(theirs.detach()) as pipe:
        large = Observed((), ("x" * 50_000,))  # type: ignore[arg-type]
        child_of(DrainingCrew(), pipe)._send(large)
        piece = ours.recv(1_000_000)

    assert pickle.loads(piece[4:]) == large

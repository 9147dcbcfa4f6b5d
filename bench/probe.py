"""How long a submission takes while something else goes on, asked fifty times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import grpc

from bench.subjects.requests import due_later
from taskwire.v1 import task_service_pb2_grpc

GAP_S = 0.02


@contextmanager
def probing(address: str) -> Iterator[list[float]]:
    """Seconds of each submission since it was due; they are made until the block ends.

    None waits for the one before: a client that did would add its own queue to what a call takes,
    and a gateway that stalls would be asked less.
    """
    seconds: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = task_service_pb2_grpc.TaskServiceStub(channel)
            request = due_later()
            stub.SubmitTask(request, timeout=60)  # The first one connects.
            asked, due = [], time.monotonic()
            while not over.wait(max(0.0, due - time.monotonic())):
                asked.append(stub.SubmitTask.future(request, timeout=60))
                asked[-1].add_done_callback(partial(_note, seconds, due))
                due += GAP_S
            for each in asked:
                each.result()

    thread = threading.Thread(target=ask, name="probe")
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()


def _note(seconds: list[float], due: float, _answered: object) -> None:
    seconds.append(time.monotonic() - due)

"""How long a submission takes while something else goes on, asked fifty times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from bench.subjects.requests import due_later
from taskwire.v1 import task_service_pb2_grpc

GAP_S = 0.02


@contextmanager
def probing(address: str) -> Iterator[list[float]]:
    """Seconds of each submission, which are made until the block ends."""
    seconds: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = task_service_pb2_grpc.TaskServiceStub(channel)
            request = due_later()
            stub.SubmitTask(request, timeout=60)  # The first one connects.
            due = time.monotonic()
            while not over.wait(max(0.0, due - time.monotonic())):
                stub.SubmitTask(request, timeout=60)
                # From when it was due: a gateway that stalls is not asked less.
                seconds.append(time.monotonic() - due)
                due += GAP_S

    thread = threading.Thread(target=ask, name="probe")
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()

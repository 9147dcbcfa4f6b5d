"""The probe asks on time, whatever becomes of what it asked before."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from bench.probe import probing
from taskwire.v1 import task_service_pb2 as pb
from tests.support.eventually import eventually

AT_ONCE = 4


@pytest.fixture
def address() -> Iterator[str]:
    """A service that answers the first call, and no other before so many are open."""
    numbers, many_are_open = itertools.count(), threading.Event()

    def submit(_request: pb.SubmitTaskRequest, _context: object) -> pb.SubmitTaskResponse:
        number = next(numbers)
        if number == AT_ONCE:
            many_are_open.set()
        if number:
            many_are_open.wait()
        return pb.SubmitTaskResponse()

    method = grpc.unary_unary_rpc_method_handler(
        submit, pb.SubmitTaskRequest.FromString, pb.SubmitTaskResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2 * AT_ONCE))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("taskwire.v1.TaskService", {"SubmitTask": method})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    many_are_open.set()
    server.stop(None)


def test_no_submission_waits_for_the_one_before(address: str) -> None:
    with probing(address) as seconds:
        eventually(lambda: len(seconds) >= AT_ONCE, within=20, what="all open ones are answered")

"""`Client.call` and the published service config, against a real embedded server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from taskwire.client import CallFailed, Client, service_config
from taskwire.examples.v1.demo_tasks_pb2 import SleepRequest, SleepResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire.examples.v1.math_tasks_pb2_grpc import MathTasksStub
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"


@pytest.fixture
def client(embedded: EmbeddedServer) -> Iterator[Client]:
    with Client(embedded.address) as client:
        yield client


def test_a_call_returns_the_typed_response(client: Client) -> None:
    answer = client.call(DIVIDE, DivideRequest(dividend=84, divisor=2), DivideResponse)
    assert answer.quotient == 42


def test_a_handlers_error_is_the_calls_error(client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call(DIVIDE, DivideRequest(dividend=84), DivideResponse)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.reason == "DIVISION_BY_ZERO"


def test_labels_and_delay_are_sent_along(client: Client) -> None:
    answer = client.call(
        DIVIDE,
        DivideRequest(dividend=1, divisor=4),
        DivideResponse,
        labels={"customer": "acme"},
        delay=timedelta(milliseconds=20),
    )
    assert answer.quotient == 0.25


def test_the_published_config_works_with_an_ordinary_stub(embedded: EmbeddedServer) -> None:
    options = [("grpc.service_config", service_config("taskwire.examples.v1.MathTasks"))]
    with grpc.insecure_channel(embedded.address, options=options) as channel:
        stub = MathTasksStub(channel)
        answer = stub.Divide(
            DivideRequest(dividend=1, divisor=2),
            metadata=(("taskwire-request-id", "an-ordinary-stub"),),
            timeout=20,
        )
    assert answer.quotient == 0.5


def test_a_call_survives_kill_9_of_the_server(killable_embedded: EmbeddedServer) -> None:
    server = killable_embedded
    answers: list[SleepResponse] = []

    def call() -> None:
        with Client(server.address) as caller:
            request = SleepRequest(duration=Duration(seconds=3))
            answers.append(caller.call(SLEEP, request, SleepResponse, request_id="one"))

    caller = threading.Thread(target=call)
    with Client(server.address) as client:
        caller.start()
        task = client.submit(
            SleepRequest(duration=Duration(seconds=3)), type=SLEEP, request_id="one"
        ).task
        eventually(lambda: client.get(task.id).attempt == 1, what="it runs")
        server.kill()
        server.start()
        caller.join(30)
        assert len(answers) == 1
        assert client.get(task.id).attempt == 2

"""One call of a handler: bytes in, an outcome out, whatever the handler does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import empty_pb2
from google.protobuf.message import Message

import taskwire_contracts
from taskwire import Isolation, TaskContext, errors
from taskwire.examples.v1.demo_tasks_pb2 import FlakyResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core.failure import Code, FailureKind
from taskwire_core.task import Payload
from taskwire_worker.handlers import Handler
from taskwire_worker.messages import encode_result
from taskwire_worker.outcome import Failed, Returned
from taskwire_worker.run import call

REQUEST = DivideRequest(dividend=6, divisor=3).SerializeToString()


def run(
    function: Callable[[Any, TaskContext], Any],
    data: bytes = REQUEST,
    *,
    max_result_bytes: int = 1000,
    input_class: type[Message] = DivideRequest,
    result_class: type[Message] = DivideResponse,
) -> Returned | Failed:
    contracts = taskwire_contracts.load([], examples=True)
    task_type = contracts.find("taskwire.examples.v1.MathTasks/Divide")
    assert task_type is not None
    handler = Handler(task_type, function, Isolation.THREAD, input_class, result_class)
    return call(handler, data, TaskContext.for_test(), max_result_bytes=max_result_bytes)


def bad_result(outcome: Returned | Failed) -> str:
    assert isinstance(outcome, Failed)
    failure = outcome.failure
    assert (failure.kind, failure.code) == (FailureKind.BAD_RESULT, Code.INTERNAL)
    assert not failure.retryable
    return failure.message


def test_the_request_is_typed_and_so_is_the_result() -> None:
    outcome = run(lambda request, _: DivideResponse(quotient=request.dividend / request.divisor))

    assert outcome == Returned(
        Payload(
            "taskwire.examples.v1.DivideResponse", DivideResponse(quotient=2).SerializeToString()
        )
    )


def test_a_message_of_another_pool_is_as_good() -> None:
    contracts = taskwire_contracts.load([], examples=True)
    dynamic = contracts.types["taskwire.examples.v1.MathTasks/Divide"].result_class
    assert dynamic is not DivideResponse

    assert isinstance(run(lambda *_: dynamic()), Returned)


@pytest.mark.parametrize(
    ("returned", "named"),
    [(None, "nothing"), (7, "int"), (FlakyResponse(), "taskwire.examples.v1.FlakyResponse")],
)
def test_anything_but_the_result_message_is_a_bad_result(returned: object, named: str) -> None:
    assert named in bad_result(run(lambda *_: returned))


def test_a_result_that_is_too_large_is_a_bad_result() -> None:
    message = bad_result(run(lambda *_: DivideResponse(quotient=1), max_result_bytes=5))

    assert "9 bytes" in message
    assert "5" in message


def test_nothing_is_a_good_result_where_the_result_is_empty() -> None:
    assert encode_result(empty_pb2.Empty, None) == Payload("google.protobuf.Empty", b"")


def test_an_input_that_cannot_be_read_fails_for_good() -> None:
    outcome = run(lambda *_: DivideResponse(), b"\xff\xff\xff")

    assert isinstance(outcome, Failed)
    assert outcome.failure.reason == "INPUT_UNREADABLE"
    assert not outcome.failure.retryable


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()])
def test_no_exception_escapes(error: BaseException) -> None:
    def handler(_request: Message, _context: TaskContext) -> Message:
        raise error

    outcome = run(handler)
    assert isinstance(outcome, Failed)
    assert outcome.failure.retryable


def test_sys_exit_does_not_end_the_worker() -> None:
    assert isinstance(run(lambda *_: sys.exit(1)), Failed)


def test_the_domain_of_a_deliberate_error_is_the_service() -> None:
    def handler(_request: Message, _context: TaskContext) -> Message:
        raise errors.InvalidArgument("No.", reason="NO")

    outcome = run(handler)
    assert isinstance(outcome, Failed)
    assert outcome.failure.domain == "taskwire.examples.v1.MathTasks"

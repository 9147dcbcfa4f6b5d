"""What is another user's is not there: every method that takes a task's id says so."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1.task_service_pb2 import DESCRIPTOR
from tests.docs.pages import README
from tests.gateway.running import Running, refusal
from tests.gateway.two_users import Gateways

METHODS = [
    method.name
    for method in DESCRIPTOR.services_by_name["TaskService"].methods
    if "id" in method.input_type.fields_by_name
]


async def answer(running: Running, method: str, request: Message) -> Any:
    """The first message with which `method` answers."""
    call = getattr(running.tasks, method)(request)
    return await (anext(call.__aiter__()) if hasattr(call, "__aiter__") else call)


def test_the_methods_that_take_an_id_are_walked() -> None:
    named = {"GetTask", "WaitTask", "WatchTask", "CancelTask", "RetryTask", "DeleteTask"}
    assert named <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
async def test_a_foreign_id_is_answered_as_one_that_is_not_there(
    gateways: Gateways, method: str
) -> None:
    task_id = await gateways.dev.submitted()
    request: Message = getattr(pb, f"{method}Request")(id=task_id)
    found = await refusal(answer(gateways.ada, method, request))
    if found.reason == "METHOD_NOT_SERVED":
        assert f"`{method}`" in README.read_text(), "a method that is not served is named there"
        return
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert found.message == f"There is no task {task_id} of yours."
    # And nothing was done to it.
    task = (await gateways.dev.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task
    assert (task.owner, task.version) == ("dev", 1)


async def test_the_request_id_of_another_user_is_free(gateways: Gateways) -> None:
    mine = await gateways.dev.submitted(request_id="r")
    theirs = await gateways.ada.submitted(request_id="r")
    assert mine != theirs
    task = (await gateways.ada.tasks.GetTask(pb.GetTaskRequest(id=theirs))).task
    assert task.owner == gateways.ada_id


async def test_a_durable_call_does_not_attach_to_the_task_of_another_user(
    gateways: Gateways, almost_late: float
) -> None:
    data = gateways.dev.shrink().SerializeToString()
    mine = await gateways.dev.submitted(request_id="r")
    call = gateways.ada.durable(data, ("taskwire-request-id", "r"), timeout=almost_late)
    assert (await refusal(call)).metadata["taskId"] != mine

"""Handlers that submit tasks, in an embedded worker over the real store."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, SleepRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from tests.worker import submitting_handlers
from tests.worker.town import Town

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def handler_modules() -> tuple[str, ...]:
    return (submitting_handlers.__name__,)


def children(town: Town, parent: bytes) -> list[Task]:
    """The tasks that `parent` has submitted, once all tasks have ended."""
    with town.database.connect() as connection:
        rows = connection.exec_driver_sql("select id, parent from tasks").all()
    return [town.ended(bytes(row[0])) for row in rows if row[1] == parent]


@pytest.mark.parametrize(
    ("type_", "request_", "queue", "dividends"),
    [
        pytest.param(FLAKY, FlakyRequest(failures=3), "demo", [0, 1, 2], id="thread"),
        pytest.param(SLEEP, SleepRequest(), "demo", [7], id="coroutine"),
        pytest.param(THUMBNAIL, MakeThumbnailRequest(image=b"x"), "images", [8], id="process"),
    ],
)
def test_a_task_that_is_attempted_twice_submits_its_children_once(
    town: Town, type_: str, request_: Message, queue: str, dividends: list[int]
) -> None:
    parent = town.ended(town.submit(type_, request_, queue=queue))

    assert (parent.state, parent.attempt) == (State.SUCCEEDED, 2)
    made = children(town, parent.id)
    assert {child.state for child in made} == {State.SUCCEEDED}
    assert sorted(_dividend(child) for child in made) == dividends
    assert {(child.owner, child.generation) for child in made} == {(parent.owner, 1)}


def _dividend(task: Task) -> float:
    assert task.input is not None
    return DivideRequest.FromString(task.input.data).dividend

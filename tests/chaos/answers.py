"""What an answer says of a task, as a history writes it down."""

from __future__ import annotations

from taskwire.v1 import task_pb2
from tests.chaos.records import Told, digest


def told(task: task_pb2.Task) -> Told:
    """Its version and state, and the digest of its result when the answer has one."""
    state = task_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_")
    result = digest(task.result.value) if task.HasField("result") else ""
    return Told(task.id, task.version, state, result)

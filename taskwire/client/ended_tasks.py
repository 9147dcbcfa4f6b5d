"""What a client does with tasks that have ended: delete them, or begin them anew."""

from __future__ import annotations

import uuid

from google.protobuf.message import Message

from taskwire.client.connection import Connection
from taskwire.submission import packed
from taskwire.v1 import task_pb2, task_service_pb2


class EndedTasks(Connection):
    """Part of `taskwire.client.Client`."""

    def delete(self, id: str) -> None:
        """Delete the ended task with all that belongs to it, for good."""
        self._short(self._tasks.DeleteTask, task_service_pb2.DeleteTaskRequest(id=id))

    def retry(
        self, id: str, input: Message | None = None, *, request_id: str | None = None
    ) -> task_pb2.Task:
        """The new task that repeats the ended one: its type, options, labels, and its input.

        `input` takes the place of the old one. Retrying again with the same `request_id` and
        content returns the first new task.
        """
        request = task_service_pb2.RetryTaskRequest(
            id=id, request_id=request_id or str(uuid.uuid4())
        )
        if input is not None:
            request.input.CopyFrom(packed(input))
        return self._short(self._tasks.RetryTask, request).task

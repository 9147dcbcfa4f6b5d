"""A client of WatchTasks that keeps its own copy of the watched tasks, over any streams."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import grpc

from taskwire.v1 import task_pb2, task_service_pb2_grpc
from taskwire.v1 import task_service_pb2 as pb

Message = pb.WatchTasksResponse
# In quotes: it is in the stubs of the generated code only.
Stub: TypeAlias = "task_service_pb2_grpc.TaskServiceAsyncStub"


class Replica:
    """`tasks` are those that the client has; `seen` is every message, by its kind.

    It fails on its own when a version comes twice or goes back within one stream.
    """

    def __init__(self, **request: Any) -> None:  # fields of a WatchTasksRequest
        self._request = request
        self._call: grpc.aio.UnaryStreamCall[pb.WatchTasksRequest, Message] | None = None
        self._versions: dict[str, int] = {}
        self.tasks: dict[str, task_pb2.Task] = {}
        self.seen: list[Message] = []
        self.token = ""

    def open(self, stub: Stub, *, fresh: bool = False) -> Replica:
        """Begin, or go on with the last token; `fresh` begins again."""
        fields = dict(self._request)
        if self.token and not fresh:
            fields["resume_token"] = self.token
        request = pb.WatchTasksRequest(**fields)
        self._call = stub.WatchTasks(request, timeout=30)
        self._messages = self._call.__aiter__()
        self._versions = {}
        return self

    def leave(self) -> None:
        """Cancel the stream; what was not read is lost."""
        assert self._call is not None
        self._call.cancel()

    async def status(self) -> grpc.StatusCode:
        """How the stream has ended."""
        assert self._call is not None
        return await self._call.code()

    async def next(self) -> Message:
        """The next message, applied to the copy."""
        async with asyncio.timeout(20):
            message = await anext(self._messages)
        self._apply(message)
        return message

    async def until(self, kind: str) -> Message:
        """The next message of this kind."""
        while (message := await self.next()).WhichOneof("kind") != kind:
            pass
        return message

    async def rest(self) -> list[Message]:
        """All messages to the stream's end."""
        found = []
        while True:
            try:
                found.append(await self.next())
            except StopAsyncIteration:
                return found

    def kinds(self) -> list[str]:
        """The kinds of all messages so far."""
        return [str(message.WhichOneof("kind")) for message in self.seen]

    def _apply(self, message: Message) -> None:
        assert message.resume_token
        self.token = message.resume_token
        self.seen.append(message)
        if message.HasField("task"):
            task = message.task
            assert task.version > self._versions.get(task.id, 0), "a version came twice"
            self._versions[task.id] = task.version
            self.tasks[task.id] = task
        elif message.HasField("removed"):
            self.tasks.pop(message.removed.id, None)
            self._versions.pop(message.removed.id, None)

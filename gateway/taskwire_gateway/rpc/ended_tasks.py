"""The methods of `taskwire.v1.TaskService` that are for ended tasks: delete and retry."""

from __future__ import annotations

from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.validation import Rules
from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.rpc.task_messages import TaskMessages
from taskwire_gateway.use_cases.deleting import Deleting
from taskwire_gateway.use_cases.reading import task_id_of
from taskwire_gateway.use_cases.retrying import Retrying


class EndedTasks:
    """DeleteTask and RetryTask."""

    def __init__(
        self, *, deleting: Deleting, retrying: Retrying, messages: TaskMessages, rules: Rules
    ) -> None:
        self._deleting = deleting
        self._retrying = retrying
        self._messages = messages
        self._rules = rules

    def methods(self, gate: Gate) -> dict[str, Handler]:
        """The method handlers by name."""
        return {
            "DeleteTask": unary(pb.DeleteTaskRequest, gate, self.delete_task),
            "RetryTask": unary(pb.RetryTaskRequest, gate, self.retry_task),
        }

    async def delete_task(self, request: pb.DeleteTaskRequest, call: Call) -> pb.DeleteTaskResponse:
        """Delete one ended task for good."""
        self._rules.require(request)
        await self._deleting.delete(task_id_of(request.id), owner=call.owner)
        return pb.DeleteTaskResponse()

    async def retry_task(self, request: pb.RetryTaskRequest, call: Call) -> pb.RetryTaskResponse:
        """Submit a new task that repeats an ended one."""
        self._rules.require(request)
        task = await self._retrying.retry(request, owner=call.owner)
        return pb.RetryTaskResponse(task=self._messages.task(task))

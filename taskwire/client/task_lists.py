"""What a client asks about many tasks: lists, counts, and the history of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskwire.client.connection import Connection
from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb


class TaskLists(Connection):
    """Part of `taskwire.client.Client`. What a filter may say is in docs/filters.md."""

    def list_tasks(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        page_size: int = 0,
        view: task_pb2.TaskView.ValueType = task_pb2.TASK_VIEW_BASIC,
    ) -> Iterator[task_pb2.Task]:
        """The tasks that match, page after page, each read when the one before is used up.

        The newest come first, unless `order_by` is "create_time" or "update_time desc".
        """
        request = pb.ListTasksRequest(
            filter=filter, order_by=order_by, page_size=page_size, view=view
        )
        while True:
            page = self._short(self._tasks.ListTasks, request)
            yield from page.tasks
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def count_tasks(self, filter: str = "", by: Sequence[str] = ()) -> pb.CountTasksResponse:
        """How many tasks match, in all and `by` state, type, queue or owner."""
        return self._short(self._tasks.CountTasks, pb.CountTasksRequest(filter=filter, group_by=by))

    def list_task_events(self, id: str, *, page_size: int = 0) -> Iterator[pb.TaskEvent]:
        """The transitions of the task, the oldest first."""
        request = pb.ListTaskEventsRequest(id=id, page_size=page_size)
        while True:
            page = self._short(self._tasks.ListTaskEvents, request)
            yield from page.events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

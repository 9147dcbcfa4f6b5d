"""The methods of `taskwire.v1.TaskService` that list and count."""

from __future__ import annotations

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.task_message import set_time
from taskwire_contracts.validation import Rules
from taskwire_core.ids import to_text
from taskwire_core.listing import Group, Order, Place, TaskEvent, TaskPage
from taskwire_core.task import View
from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.rpc.task_messages import TaskMessages, view_of
from taskwire_gateway.use_cases.listing import PAGE, PAGE_BYTES, ListRequest, Lists, place_of
from taskwire_gateway.use_cases.reading import task_id_of


class TaskLists:
    """ListTasks, CountTasks and ListTaskEvents."""

    def __init__(self, lists: Lists, messages: TaskMessages, rules: Rules) -> None:
        self._lists = lists
        self._messages = messages
        self._rules = rules

    def methods(self, gate: Gate) -> dict[str, Handler]:
        """The method handlers by name."""
        return {
            "ListTasks": unary(pb.ListTasksRequest, gate, self.list_tasks),
            "CountTasks": unary(pb.CountTasksRequest, gate, self.count_tasks),
            "ListTaskEvents": unary(pb.ListTaskEventsRequest, gate, self.list_task_events),
        }

    async def list_tasks(self, request: pb.ListTasksRequest, call: Call) -> pb.ListTasksResponse:
        """One page, which ends before it has more bytes than a client takes."""
        self._rules.require(request)
        wish = ListRequest(
            filter=request.filter,
            order=Order(request.order_by or Order.NEWEST),
            size=request.page_size or PAGE,
            page_token=request.page_token,
            view=view_of(request.view, View.BASIC),
        )
        page = await self._lists.page(wish, owner=call.owner)
        response = pb.ListTasksResponse()
        next_ = self._fill(response, page, wish)
        if next_ is not None:
            response.next_page_token = self._lists.token(wish, next_, owner=call.owner)
        return response

    def _fill(
        self, response: pb.ListTasksResponse, page: TaskPage, wish: ListRequest
    ) -> Place | None:
        """Put in the tasks that there is room for; where the next page begins."""
        room, last = PAGE_BYTES, None
        for task in page.tasks:
            message = self._messages.task(task, wish.view)
            room -= message.ByteSize()
            if room < 0 and last is not None:
                return last
            response.tasks.append(message)
            last = place_of(task, wish.order)
        return page.next

    async def count_tasks(self, request: pb.CountTasksRequest, call: Call) -> pb.CountTasksResponse:
        """The counts by group, the greatest first."""
        self._rules.require(request)
        groups = [Group(name) for name in request.group_by]
        counts = await self._lists.counts(request.filter, groups, owner=call.owner)
        response = pb.CountTasksResponse(total_count=sum(counts.values()))
        by_count = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
        for values, count in by_count if groups else ():
            response.groups.add(values=values, count=count)
        return response

    async def list_task_events(
        self, request: pb.ListTaskEventsRequest, call: Call
    ) -> pb.ListTaskEventsResponse:
        """One page of a task's history."""
        self._rules.require(request)
        events, token = await self._lists.events(
            task_id_of(request.id),
            size=request.page_size or PAGE,
            page_token=request.page_token,
            owner=call.owner,
        )
        return pb.ListTaskEventsResponse(
            events=[_event_message(event) for event in events], next_page_token=token
        )


def _event_message(event: TaskEvent) -> pb.TaskEvent:
    message = pb.TaskEvent(
        version=event.version,
        state=task_pb2.TaskState.ValueType(event.state),
        attempt=event.attempt,
        worker_id="" if event.worker_id is None else to_text(event.worker_id),
        actor=event.actor,
        message=event.message,
    )
    set_time(message.event_time, event.event_time_us)
    return message

"""`taskwire.v1.TaskService`: message in, use case, message out, one method each."""

from __future__ import annotations

from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts import Contracts, TaskType
from taskwire_contracts.conversion import options_message, to_timedelta
from taskwire_contracts.task_message import set_time
from taskwire_contracts.validation import Rules
from taskwire_core.errors import RequestError
from taskwire_core.ids import to_text
from taskwire_core.page_tokens import PageTokens
from taskwire_core.task import ProgressRing, Task, View
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.ports import Clock
from taskwire_gateway.rpc.calls import Call, Handler, Send, stream, unary
from taskwire_gateway.rpc.statuses import status_of
from taskwire_gateway.rpc.task_messages import TaskMessages, set_progress, view_of
from taskwire_gateway.use_cases.cancelling import Cancelling
from taskwire_gateway.use_cases.reading import GroupReader, task_id_of
from taskwire_gateway.use_cases.recording import Accepted
from taskwire_gateway.use_cases.running_now import RunningNow
from taskwire_gateway.use_cases.submitting import Submitting
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import (
    DEADLINE_MARGIN_S,
    DEFAULT_HEARTBEAT,
    LONGEST_WAIT,
    Event,
    Watching,
)
from taskwire_gateway.workers_alive import LiveWorkers, Served

SERVICE = "taskwire.v1.TaskService"
_PAGE = 50
_TYPES_SCOPE = "ListTaskTypes"

Handlers = dict[str, Handler]


def at_task_service(methods: Handlers) -> Handlers:
    """Method handlers by path, of those by name."""
    return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}


class TaskService:
    """Most of its methods; `handlers` is what the server serves."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        submitting: Submitting,
        cancelling: Cancelling,
        running_now: RunningNow,
        watching: Watching,
        tasks: GroupReader,
        messages: TaskMessages,
        workers: LiveWorkers,
        rules: Rules,
        clock: Clock,
        page_tokens: PageTokens,
    ) -> None:
        self._contracts = contracts
        self._submitting = submitting
        self._cancelling = cancelling
        self._running_now = running_now
        self._watching = watching
        self._tasks = tasks
        self._messages = messages
        self._workers = workers
        self._rules = rules
        self._clock = clock
        self._page_tokens = page_tokens

    def handlers(self, admission: Admission) -> Handlers:
        """The method handlers by path."""
        short, long = admission.gate(Kind.UNARY), admission.gate(Kind.WATCH)
        methods = {
            "SubmitTask": unary(pb.SubmitTaskRequest, short, self.submit_task),
            "BatchSubmitTasks": unary(pb.BatchSubmitTasksRequest, short, self.batch_submit_tasks),
            "GetTask": unary(pb.GetTaskRequest, short, self.get_task),
            "WaitTask": unary(pb.WaitTaskRequest, long, self.wait_task),
            "WatchTask": stream(pb.WatchTaskRequest, long, self.watch_task),
            "CancelTask": unary(pb.CancelTaskRequest, short, self.cancel_task),
            "RunTask": unary(pb.RunTaskRequest, short, self.run_task),
            "ListTaskTypes": unary(pb.ListTaskTypesRequest, short, self.list_task_types),
        }
        return at_task_service(methods)

    async def submit_task(self, request: pb.SubmitTaskRequest, call: Call) -> pb.SubmitTaskResponse:
        """Commit one task."""
        response = pb.SubmitTaskResponse()
        accepted = await self._submitting.submit(request, owner=call.owner)
        task = await self._tasks.with_outcome(accepted.task)
        answer = Accepted(task, accepted.disposition)
        self._messages.write_submitted(response, answer, View.OUTCOME)
        return response

    async def batch_submit_tasks(
        self, request: pb.BatchSubmitTasksRequest, call: Call
    ) -> pb.BatchSubmitTasksResponse:
        """Commit all or none, or those that can be."""
        response = pb.BatchSubmitTasksResponse()
        if not request.allow_partial_success:
            for answer in await self._submitting.submit_all(request.requests, owner=call.owner):
                self._messages.write_submitted(response.results.add().ok, answer)
            return response
        for found in await self._submitting.submit_some(request.requests, owner=call.owner):
            result = response.results.add()
            if isinstance(found, RequestError):
                result.error.CopyFrom(status_of(found))
            else:
                self._messages.write_submitted(result.ok, found)
        return response

    async def get_task(self, request: pb.GetTaskRequest, call: Call) -> pb.GetTaskResponse:
        """Read one task."""
        self._rules.require(request)
        view = view_of(request.view, View.FULL)
        task = await self._tasks.task(task_id_of(request.id), view, owner=call.owner)
        return pb.GetTaskResponse(task=self._messages.task(task, view))

    async def wait_task(self, request: pb.WaitTaskRequest, call: Call) -> pb.WaitTaskResponse:
        """Wait for the end, or for the time-out, which is no error."""
        self._rules.require(request)
        view = view_of(request.view, View.OUTCOME)
        timeout = to_timedelta(request.timeout) if request.HasField("timeout") else LONGEST_WAIT
        timeout_s = min(timeout, LONGEST_WAIT).total_seconds()
        left = call.time_left_s()
        if left is not None:
            # A wait that would outlast the caller's deadline could not be answered at all.
            timeout_s = max(0.0, min(timeout_s, left - min(DEADLINE_MARGIN_S, left / 2)))
        task, timed_out = await self._watching.wait(
            task_id_of(request.id), owner=call.owner, timeout_s=timeout_s, view=view
        )
        return pb.WaitTaskResponse(task=self._messages.task(task, view), timed_out=timed_out)

    async def watch_task(self, request: pb.WatchTaskRequest, call: Call, send: Send) -> None:
        """Stream a task's changes until it has ended."""
        self._rules.require(request)
        view = view_of(request.view, View.OUTCOME)
        heartbeat = DEFAULT_HEARTBEAT
        if request.HasField("heartbeat_interval"):
            heartbeat = to_timedelta(request.heartbeat_interval)

        async def send_event(event: Event) -> None:
            await send(self._event(event, view))

        await self._watching.watch(
            task_id_of(request.id),
            send_event,
            owner=call.owner,
            after_version=request.after_version,
            view=view,
            heartbeat=heartbeat,
        )

    async def cancel_task(self, request: pb.CancelTaskRequest, call: Call) -> pb.CancelTaskResponse:
        """Cancel, or say that it had ended."""
        self._rules.require(request)
        found = await self._cancelling.cancel(
            task_id_of(request.id), owner=call.owner, reason=request.reason
        )
        task = self._messages.task(found.task)
        return pb.CancelTaskResponse(task=task, effective=found.effective)

    async def run_task(self, request: pb.RunTaskRequest, call: Call) -> pb.RunTaskResponse:
        """Make a waiting task due."""
        self._rules.require(request)
        task, effective = await self._running_now.run(task_id_of(request.id), owner=call.owner)
        return pb.RunTaskResponse(task=self._messages.task(task), effective=effective)

    async def list_task_types(
        self, request: pb.ListTaskTypesRequest, call: Call
    ) -> pb.ListTaskTypesResponse:
        """The loaded types by name; a page's place is the last name of the page before."""
        self._rules.require(request)
        after = ""
        if request.page_token:
            after = self._page_tokens.read(
                request.page_token, str, user=call.owner, scope=_TYPES_SCOPE
            )
        names = sorted(name for name in self._contracts.types if name > after)
        size = request.page_size or _PAGE
        live = await self._workers.now()
        response = pb.ListTaskTypesResponse(
            task_types=[self._task_type(self._contracts.types[name], live) for name in names[:size]]
        )
        if len(names) > size:
            response.next_page_token = self._page_tokens.sign(
                names[size - 1], user=call.owner, scope=_TYPES_SCOPE
            )
        return response

    def _event(self, event: Event, view: View) -> pb.WatchTaskResponse:
        if isinstance(event, Task):
            return pb.WatchTaskResponse(task=self._messages.task(event, view))
        if isinstance(event, ProgressRing):
            update = pb.ProgressUpdate(id=to_text(event.task_id), attempt=event.attempt)
            set_progress(update.progress, event.progress)
            return pb.WatchTaskResponse(progress=update)
        if isinstance(event, End):
            reason = pb.Closed.Reason.ValueType(event)
            return pb.WatchTaskResponse(closed=pb.Closed(reason=reason))
        beat = pb.Heartbeat()
        set_time(beat.server_time, self._clock.now_us())
        if event.task is not None:
            beat.pending_reason = self._messages.pending(event.task)
        return pb.WatchTaskResponse(heartbeat=beat)

    def _task_type(self, found: TaskType, live: Served) -> pb.TaskType:
        return pb.TaskType(
            name=found.name,
            description=found.description,
            input_type=found.input_descriptor.full_name,
            result_type=found.result_descriptor.full_name,
            options=options_message(found.options),
            live_workers=live.get((found.options.queue, found.name), 0),
        )

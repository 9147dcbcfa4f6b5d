"""`taskwire.v1.TaskService.WatchTasks`: message in, use case, messages and resume tokens out."""

from __future__ import annotations

import hashlib

from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.conversion import to_timedelta
from taskwire_contracts.task_message import set_time
from taskwire_contracts.validation import Rules
from taskwire_core.errors import FieldViolation, InvalidRequest
from taskwire_core.filters.parsing import parse
from taskwire_core.ids import to_text
from taskwire_core.page_tokens import PageTokens
from taskwire_core.task import ProgressRing, Task, View
from taskwire_gateway.admission import Gate
from taskwire_gateway.ports import Clock
from taskwire_gateway.rpc.calls import Call, Handler, Send, stream
from taskwire_gateway.rpc.task_messages import TaskMessages, set_progress, view_of
from taskwire_gateway.use_cases.reading import task_id_of
from taskwire_gateway.watch.many import Event, Place, Removed, Synced, Wish
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import DEFAULT_HEARTBEAT
from taskwire_gateway.watch.watching_many import WatchingMany

Response = pb.WatchTasksResponse


class TaskWatches:
    """The method."""

    def __init__(
        self,
        *,
        watching: WatchingMany,
        messages: TaskMessages,
        rules: Rules,
        clock: Clock,
        tokens: PageTokens,
    ) -> None:
        self._watching = watching
        self._messages = messages
        self._rules = rules
        self._clock = clock
        self._tokens = tokens

    def methods(self, gate: Gate) -> dict[str, Handler]:
        """The method handlers by name."""
        return {"WatchTasks": stream(pb.WatchTasksRequest, gate, self.watch_tasks)}

    async def watch_tasks(self, request: pb.WatchTasksRequest, call: Call, send: Send) -> None:
        """Stream the tasks, then their changes."""
        _require_one_choice(request)
        self._rules.require(request)
        scope, view = _scope(request), view_of(request.view, View.OUTCOME)
        wish = Wish(
            owner=call.owner,
            ids=frozenset(map(task_id_of, request.ids)) or None,
            filter=parse(request.filter),
            view=view,
            heartbeat=(
                to_timedelta(request.heartbeat_interval)
                if request.HasField("heartbeat_interval")
                else DEFAULT_HEARTBEAT
            ),
        )

        async def send_event(event: Event, place: Place) -> None:
            message = self._message(event, view)
            message.resume_token = self._tokens.sign(place, user=call.owner, scope=scope)
            await send(message)

        await self._watching.watch(wish, send_event, resume=self._resumed(request, call, scope))

    def _resumed(self, request: pb.WatchTasksRequest, call: Call, scope: str) -> Place | None:
        if not request.resume_token:
            return None
        try:
            return self._tokens.read(request.resume_token, Place, user=call.owner, scope=scope)
        except InvalidRequest as error:
            raise InvalidRequest(
                error.reason,
                "The resume token is not one that this server gave to you for these ids or this"
                " filter; watch again without one.",
                violations=[FieldViolation("resume_token", "is not a token of this watch")],
            ) from None

    def _message(self, event: Event, view: View) -> Response:
        if isinstance(event, Task):
            return Response(task=self._messages.task(event, view))
        if isinstance(event, ProgressRing):
            update = pb.ProgressUpdate(id=to_text(event.task_id), attempt=event.attempt)
            set_progress(update.progress, event.progress)
            return Response(progress=update)
        if isinstance(event, Removed):
            removed = Response.Removed(id=to_text(event.task_id), deleted=event.deleted)
            return Response(removed=removed)
        if isinstance(event, Synced):
            return Response(synced=Response.Synced())
        if isinstance(event, End):
            return Response(closed=pb.Closed(reason=pb.Closed.Reason.ValueType(event)))
        beat = pb.Heartbeat()
        set_time(beat.server_time, self._clock.now_us())
        return Response(heartbeat=beat)


def _require_one_choice(request: pb.WatchTasksRequest) -> None:
    if request.ids and request.filter:
        raise InvalidRequest(
            "CONFLICTING_FIELDS",
            "Choose tasks by ids or by a filter, not by both.",
            violations=[FieldViolation("filter", "excludes ids")],
        )


def _scope(request: pb.WatchTasksRequest) -> str:
    """What a resume token is bound to beside its user."""
    if not request.ids:
        return f"WatchTasks {request.filter}"
    ids = ",".join(sorted(each.lower() for each in request.ids))
    return f"WatchTasks of {hashlib.sha256(ids.encode()).hexdigest()}"

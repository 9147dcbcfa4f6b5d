"""`taskwire.v1.QueueService`: message in, use case, message out, one method each."""

from __future__ import annotations

from taskwire.v1 import queue_service_pb2 as pb
from taskwire_contracts.task_message import set_time
from taskwire_contracts.validation import Rules
from taskwire_core.bulk import BulkKind
from taskwire_core.errors import Unready
from taskwire_core.lifecycle import WAITING
from taskwire_core.page_tokens import PageTokens
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.queue_ports import Queue
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.rpc.operation_messages import operation_message
from taskwire_gateway.use_cases.bulk import Bulk
from taskwire_gateway.use_cases.queues import Queues

SERVICE = "taskwire.v1.QueueService"
_PAGE = 50
_SCOPE = "ListQueues"


class QueueService:
    """The methods; `handlers` is what the server serves."""

    def __init__(self, queues: Queues, bulk: Bulk, rules: Rules, page_tokens: PageTokens) -> None:
        self._queues = queues
        self._bulk = bulk
        self._rules = rules
        self._page_tokens = page_tokens

    def handlers(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by path."""
        short = admission.gate(Kind.UNARY)
        methods = {
            "ListQueues": unary(pb.ListQueuesRequest, short, self.list_queues),
            "GetQueue": unary(pb.GetQueueRequest, short, self.get_queue),
            "PauseQueue": unary(pb.PauseQueueRequest, short, self.pause_queue),
            "ResumeQueue": unary(pb.ResumeQueueRequest, short, self.resume_queue),
            "PurgeQueue": unary(pb.PurgeQueueRequest, short, self.purge_queue),
        }
        return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}

    async def list_queues(self, request: pb.ListQueuesRequest, call: Call) -> pb.ListQueuesResponse:
        """The queues by name; the place of a page token is the last name of the page before."""
        self._rules.require(request)
        after = ""
        if request.page_token:
            after = self._page_tokens.read(request.page_token, str, user=call.owner, scope=_SCOPE)
        found, more = await self._queues.page(after=after, size=request.page_size or _PAGE)
        response = pb.ListQueuesResponse(queues=[_message(queue) for queue in found])
        if more:
            response.next_page_token = self._page_tokens.sign(
                found[-1].name, user=call.owner, scope=_SCOPE
            )
        return response

    async def get_queue(self, request: pb.GetQueueRequest, call: Call) -> pb.GetQueueResponse:
        """Read one queue."""
        self._rules.require(request)
        return pb.GetQueueResponse(queue=_message(await self._queues.get(request.name)))

    async def pause_queue(self, request: pb.PauseQueueRequest, call: Call) -> pb.PauseQueueResponse:
        """Let nothing of it begin."""
        self._rules.require(request)
        queue, effective = await self._queues.pause(
            request.name, actor=call.owner, reason=request.reason
        )
        return pb.PauseQueueResponse(queue=_message(queue), effective=effective)

    async def resume_queue(
        self, request: pb.ResumeQueueRequest, call: Call
    ) -> pb.ResumeQueueResponse:
        """Let it go on."""
        self._rules.require(request)
        queue, effective = await self._queues.resume(request.name)
        return pb.ResumeQueueResponse(queue=_message(queue), effective=effective)

    async def purge_queue(self, request: pb.PurgeQueueRequest, call: Call) -> pb.PurgeQueueResponse:
        """Cancel what waits in it, or say how many tasks that would be."""
        self._rules.require(request)
        await self._queues.get(request.name)
        waiting = _waiting_in(request.name)
        if not request.force:
            found = await self._bulk.preview(BulkKind.CANCEL, waiting, owner=call.owner)
            raise _force_required(request.name, found.count)
        begun = await self._bulk.begin(
            BulkKind.CANCEL, waiting, owner=call.owner, reason=request.reason
        )
        return pb.PurgeQueueResponse(operation=operation_message(begun))


def _waiting_in(queue: str) -> str:
    """The filter of what waits in a queue."""
    quoted = queue.replace("\\", "\\\\").replace('"', '\\"')
    states = " OR ".join(f"state = {state.name}" for state in sorted(WAITING))
    return f'queue = "{quoted}" AND ({states})'


def _force_required(queue: str, count: int) -> Unready:
    return Unready(
        "FORCE_REQUIRED",
        f"A purge of {queue} would cancel {count} waiting tasks of yours; set force to mean it.",
        metadata={"queue": queue, "taskCount": str(count)},
    )


def _message(queue: Queue) -> pb.Queue:
    rates = queue.rates
    message = pb.Queue(
        name=queue.name,
        queued_count=queue.queued,
        scheduled_count=queue.scheduled,
        retrying_count=queue.retrying,
        running_count=queue.running,
        live_workers=queue.live_workers,
        slots=queue.slots,
        rates=pb.QueueRates(
            submitted=rates.submitted,
            started=rates.started,
            succeeded=rates.succeeded,
            failed=rates.failed,
        ),
    )
    if queue.pause is not None:
        message.pause.paused_by = queue.pause.by
        message.pause.reason = queue.pause.reason
        set_time(message.pause.pause_time, queue.pause.time_us)
    if queue.oldest_due_us is not None:
        set_time(message.oldest_due_time, queue.oldest_due_us)
        # A clock that was set back since makes nothing younger than new.
        message.oldest_due_age.FromMicroseconds(max(0, queue.now_us - queue.oldest_due_us))
    return message

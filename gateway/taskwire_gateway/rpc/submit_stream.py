"""StreamSubmitTasks: one acknowledgement per submission, as soon as it is committed.

The submissions of a stream are in progress side by side, so that the writer commits them in
groups. A limited number of them is unacknowledged at a time: then nothing more is received, and
grpc's flow control holds up the caller. Whatever is wrong with one of them is its own answer.
"""

from __future__ import annotations

from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.limits import Limits
from taskwire_contracts.validation import Rules
from taskwire_gateway.admission import Admission, Gate, Kind
from taskwire_gateway.rpc.calls import Call, Handler, Receive, Send, duplex
from taskwire_gateway.rpc.side_by_side import SideBySide
from taskwire_gateway.rpc.task_messages import TaskMessages
from taskwire_gateway.use_cases.submitting import Submitting

UNACKNOWLEDGED = 512
"""Of one stream: two of the writer's groups, one being committed and one being prepared."""

_REF_CHARS = 128


class SubmitStreams:
    """The method; `drain` ends its streams once what they have received is answered."""

    def __init__(
        self, *, submitting: Submitting, messages: TaskMessages, rules: Rules, limits: Limits
    ) -> None:
        self._submitting = submitting
        self._messages = messages
        self._rules = rules
        self._limits = limits
        self._open: set[SideBySide[pb.StreamSubmitTasksRequest]] = set()

    def methods(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by name."""
        gate = admission.gate(Kind.SUBMISSIONS)

        async def serve(
            receive: Receive[pb.StreamSubmitTasksRequest], call: Call, send: Send
        ) -> None:
            await self.stream_submit_tasks(receive, call, send, gate)

        return {"StreamSubmitTasks": duplex(pb.StreamSubmitTasksRequest, gate, serve)}

    def drain(self) -> None:
        """Receive nothing more."""
        for stream in self._open:
            stream.stop()

    async def stream_submit_tasks(
        self,
        receive: Receive[pb.StreamSubmitTasksRequest],
        call: Call,
        send: Send,
        gate: Gate,
    ) -> None:
        """Acknowledge every submission, in whatever order they are committed."""

        async def submit(item: pb.StreamSubmitTasksRequest) -> pb.StreamSubmitTasksResponse:
            answer = pb.StreamSubmitTasksResponse(client_ref=item.client_ref)
            try:
                with gate.hold(item.ByteSize()):
                    self._check(item)
                    accepted = await self._submitting.submit(item.request, owner=call.owner)
                self._messages.write_submitted(answer.ok, accepted)
            except Exception as error:  # It is this submission's, and the stream goes on.
                answer.error.CopyFrom(call.status_of(error))
            return answer

        stream = SideBySide(
            receive, submit, most_items=UNACKNOWLEDGED, most_bytes=self._limits.batch_bytes
        )
        self._open.add(stream)
        try:
            await stream.serve(send)
        finally:
            self._open.discard(stream)

    def _check(self, item: pb.StreamSubmitTasksRequest) -> None:
        # The rules of the request itself are checked where every submission's are.
        if len(item.client_ref) > _REF_CHARS or not item.HasField("request"):
            self._rules.require(item)

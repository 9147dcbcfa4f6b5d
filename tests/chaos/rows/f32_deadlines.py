"""F32: callers that have no time at all."""

from __future__ import annotations

import random
import threading

from taskwire.submission import SubmitTaskRequest
from tests.chaos.checking import Violation
from tests.chaos.context import Chaos
from tests.chaos.history import History
from tests.chaos.recording import RecordingClient
from tests.chaos.records import Invoke, Unknown
from tests.chaos.remains import TaskRow
from tests.chaos.rows.registry import row
from tests.chaos.work import messages, new_request_id, submission_of, work

_DEADLINES_S = (0.001, 0.001, 0.003, 0.01, 0.03)
_ROUNDS = 120


def some_were_cut_off_on_either_side(history: History) -> list[Violation]:
    """The row shows nothing unless some calls ended before the commit, and some after it."""
    requests = {r.op: r.request_id for r in history.records if isinstance(r, Invoke)}
    unknown = {
        requests[r.op]
        for r in history.records
        if isinstance(r, Unknown) and r.code == "DEADLINE_EXCEEDED" and requests[r.op]
    }
    there = {r.request_id for r in history.records if isinstance(r, TaskRow)}
    if unknown & there and unknown - there:
        return []
    sentence = f"of {len(unknown)} calls that were cut off {len(unknown & there)} are there"
    return [Violation("F32", sentence, "", ())]


@row(
    "F32",
    "Thousands of calls with a deadline of 1 ms and little more",
    needs_s=30,
    invariants=[some_were_cut_off_on_either_side],
)
def hasty_callers(chaos: Chaos) -> None:
    with chaos.fault("deadlines", "client"):
        callers = [
            threading.Thread(target=_call, args=[chaos, deadline, f"{chaos.chance.random()}"])
            for deadline in _DEADLINES_S
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    chaos.load.more(20)


def _call(chaos: Chaos, deadline_s: float, seed: str) -> None:
    chance = random.Random(seed)
    with RecordingClient(chaos.recorder, chaos.cluster.address(), timeout_s=deadline_s) as client:
        for _ in range(_ROUNDS):
            client.submit(work(key="hasty"), request_id=new_request_id(chance))
            client.submit_batch(_requests(chance))
            client.call(
                "chaos.v1.ChaosTasks/Work",
                work(key="hasty"),
                messages().WorkResponse,
                request_id=new_request_id(chance),
            )


def _requests(chance: random.Random) -> list[SubmitTaskRequest]:
    return [submission_of(work(key="hasty"), request_id=new_request_id(chance)) for _ in range(5)]

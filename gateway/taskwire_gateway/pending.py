"""Why a task has not started: computed when it is read, never stored."""

from __future__ import annotations

from collections.abc import Container
from enum import IntEnum

from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_gateway.workers_alive import Served


class PendingReason(IntEnum):
    """The numbers are those of `taskwire.v1.PendingReason`."""

    UNSPECIFIED = 0
    DELAYED = 1
    BACKING_OFF = 2
    AWAITING_DISPATCH = 3
    AWAITING_WORKER = 4
    NO_WORKER = 5
    QUEUE_PAUSED = 6


def pending_reason(
    task: Task, live_workers: Served, paused_queues: Container[str]
) -> PendingReason:
    """What `task` waits for; UNSPECIFIED when it does not wait."""
    if task.state is State.SCHEDULED:
        return PendingReason.DELAYED
    if task.state is State.RETRYING:
        return PendingReason.BACKING_OFF
    if task.state is not State.QUEUED:
        return PendingReason.UNSPECIFIED
    if task.queue in paused_queues:
        return PendingReason.QUEUE_PAUSED
    if not live_workers.get((task.queue, task.type)):
        return PendingReason.NO_WORKER
    return PendingReason.AWAITING_WORKER if task.dispatched else PendingReason.AWAITING_DISPATCH

"""One Dramatiq actor per task type: what Dramatiq's threads call for a claimed message.

The actor's function never raises and nothing hooks into Dramatiq's middleware, whose errors
are swallowed: by the time a message is here its task is claimed and the message acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

import dramatiq

from taskwire_core.ids import from_text
from taskwire_worker.handlers import Handler

_LOG = logging.getLogger(__name__)


class Runs(Protocol):
    """Runs claimed attempts."""

    def run(self, task_id: bytes, dispatch: int) -> None:
        """Runs the attempt that was claimed for this dispatch of the task."""


def declare_actors(
    broker: dramatiq.Broker, runs: Runs, handlers: Iterable[Handler], queues: Mapping[str, str]
) -> None:
    """Declares an actor for every handler, and every queue of `queues` (ours → the broker's)."""

    def run(*, task: str, dispatch: int, deployment: str) -> None:
        try:
            runs.run(from_text(task), dispatch)
        except Exception:  # the edge: Dramatiq would log the message and retry nothing
            _LOG.exception("attempt could not be run", extra={"task_id": task})

    for name in queues.values():
        broker.declare_queue(name)
    # Tasks come to any queue that a submission names; the actor's own queue says only where
    # Dramatiq would send a message, which it never does here.
    some_queue = next(iter(queues.values()))
    for handler in handlers:
        dramatiq.Actor(
            run,
            broker=broker,
            actor_name=handler.task_type.name,
            queue_name=queues.get(handler.task_type.options.queue, some_queue),
            priority=0,
            options={},
        )

"""Tasks in any state for tests that need one and do not care how it came to be."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Payload, Task


def task(
    *,
    state: State = State.QUEUED,
    result_ttl: timedelta = timedelta(days=7),
    **fields: Any,  # any field of Task
) -> Task:
    """A task in `state`, with whatever fields are given."""
    filled: dict[str, Any] = {
        "id": uuid.uuid4().bytes,
        "type": "acme.images.v1.ImageTasks/MakeThumbnail",
        "owner": "ann",
        "version": 3 if state.terminal else 2,
        "attempt": 1,
        "handed_back": 0,
        "crashes": 0,
        "solo": False,
        "dispatch": 1,
        "dispatched": True,
        "options": TaskOptions(queue="thumbnails", result_ttl=result_ttl),
        "create_time_us": 1_000_000,
        "schedule_time_us": 1_000_000,
        "not_before_us": 1_000_000,
        "update_time_us": 2_000_000,
    }
    return Task(state=state, **{**filled, **fields})


def succeeded(result: bytes = b"\x0a\x01x", **fields: Any) -> Task:
    """A task that has ended well with `result`."""
    return task(state=State.SUCCEEDED, result=Payload("acme.Thumb", result), **fields)

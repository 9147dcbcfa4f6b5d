"""What validate_only answers with: the task that would have been recorded."""

from __future__ import annotations

from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Task


def imagined(new: NewTask) -> Task:
    """The task that would have been recorded."""
    waits = new.schedule_time_us > new.create_time_us
    return Task(
        id=b"",
        type=new.type,
        owner=new.owner,
        state=State.SCHEDULED if waits else State.QUEUED,
        version=0,
        attempt=0,
        handed_back=0,
        crashes=0,
        solo=False,
        dispatch=0,
        dispatched=False,
        options=new.options,
        create_time_us=new.create_time_us,
        schedule_time_us=new.schedule_time_us,
        not_before_us=new.schedule_time_us,
        update_time_us=new.create_time_us,
        labels=new.labels,
        follow_up_count=len(new.follow_ups),
    )

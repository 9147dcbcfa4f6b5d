"""Following many tasks over any number of streams.

A stream that breaks or falls silent is replaced by one that goes on where the last message was. A
server that does not remember that any more is asked for the whole set anew.

A server does not know which versions the streams before have shown: a task that was read a moment
later than the change that it was sent for is sent again for the next change. So that a watch takes
no step back and none twice, the newest versions are remembered here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from taskwire.client.broken import Broken, backoff_s
from taskwire.client.one_stream import Stream, one_stream
from taskwire.v1 import task_service_pb2

Event = task_service_pb2.WatchTasksResponse

Open = Callable[[str], Stream[Event]]
"""Opens a stream behind a resume token."""

_EXPIRED = "RESUME_TOKEN_EXPIRED"

_REMEMBERED = 10_000
"""How many tasks' versions; what may come twice was among the last to come."""


class ManyWatch:
    """One watch: `events()` yields what happens until all tasks have ended."""

    def __init__(
        self,
        open_stream: Open,
        *,
        resume_token: str,
        silence_s: float,
        on_interruption: Callable[[str], None] | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._open = open_stream
        self._silence_s = silence_s
        self._on_interruption = on_interruption or (lambda _: None)
        self._pause = pause
        self._token = resume_token
        self._failures = 0
        self._versions: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        """Every message of a known kind but a `closed` that is not the end.

        Raises:
            CallFailed: an answer that another try would get again, such as NOT_FOUND.
        """
        while True:
            problem = yield from one_stream(self._open(self._token), self._silence_s, self._note)
            if problem is None:
                return
            self._recover(problem)

    def _note(self, event: Event) -> bool:
        self._failures = 0
        self._token = event.resume_token or self._token
        return self._is_news(event)

    def _is_news(self, event: Event) -> bool:
        if event.HasField("removed"):
            self._versions.pop(event.removed.id, None)
        if not event.HasField("task"):
            return True
        task = event.task
        before = self._versions.pop(task.id, 0)
        self._versions[task.id] = max(before, task.version)
        if len(self._versions) > _REMEMBERED:
            del self._versions[next(iter(self._versions))]
        return task.version > before

    def _recover(self, problem: Broken) -> None:
        if problem.cause is not None and problem.cause.reason == _EXPIRED and self._token:
            self._token = ""
            self._versions.clear()
        elif problem.cause is not None and not problem.passing:
            raise problem.cause
        self._on_interruption(problem.text)
        self._pause(backoff_s(self._failures, problem.retry_after_s))
        self._failures += 1

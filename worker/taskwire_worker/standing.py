"""Whether the supervisor lives, and whether its worker processes take tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from taskwire_admin.health import Standing
from taskwire_worker.post import Phase, Post

_STEP_S = 5.0
"""The supervisor takes a step twice a second, whatever happens."""


class CrewsStanding:
    """Read by the admin port's threads; `last_step` and `last_beat` are monotonic times."""

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        last_step: Callable[[], float],
        last_beat: Callable[[], float],
        lease_s: float,
    ) -> None:
        self._posts = posts
        self._last_step = last_step
        self._last_beat = last_beat
        self._lease_s = lease_s

    def healthy(self) -> Standing:
        """Whether the supervisor still steps."""
        good = time.monotonic() - self._last_step() < _STEP_S
        return Standing(good, {"supervisor": "ok" if good else "stuck"})

    def ready(self) -> Standing:
        """Whether any process takes tasks, under a lease that is renewed."""
        working = sum(post.phase is Phase.WORKING for post in self._posts)
        alive = time.monotonic() - self._last_beat() < self._lease_s * 0.75
        return Standing(
            bool(working) and alive,
            {
                "processes": f"{working} of {len(self._posts)} working",
                "lease": "ok" if alive else "not renewed",
            },
        )

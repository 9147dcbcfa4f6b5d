"""How soon to knock again at a server that is away: the same for every connection we keep."""

from __future__ import annotations

import random
from collections.abc import Iterator

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


def reconnect_pauses() -> Iterator[float]:
    """Seconds to wait before each further try: 0.1 to 2 s, doubling, jittered downwards.

    The jitter keeps all processes from coming back to a restarted server at the same instant.
    """
    pause = _FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it
        pause = min(pause * 2, _LONGEST_PAUSE_S)

"""Whether a service lives, and whether work should come to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Standing:
    """`parts` say how each thing is that it stands on, in a word; they decide nothing."""

    good: bool
    parts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The body of the answer."""
        return json.dumps({"status": "ok" if self.good else "unavailable", **self.parts})


Check = Callable[[], Standing]
"""Asked in a thread of the admin port; it may block for a second or two."""


def always() -> Standing:
    """The standing of what answers at all."""
    return Standing(True)


def starting() -> Standing:
    """The standing of what has not begun to work."""
    return Standing(False, {"service": "starting"})

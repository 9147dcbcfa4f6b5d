"""How long a consumer waits for what, before it gives its deliveries back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take, in seconds."""

    hold: float = 1.0
    """An unclaimed delivery is kept at most this long when no slot is free for it."""
    store: float = 5.0
    """It is kept this long while the store does not answer."""
    tick: float = 0.2
    """The longest wait that serves neither heartbeats nor a drain."""

"""How large the store is: what an operator's gauges and logs show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskwire_core.lifecycle import State


@dataclass(frozen=True, slots=True)
class StoreSizes:
    """`database_bytes` counts SQLite's write-ahead log too. `tasks` has every state.

    `overdue_since_us` is the delete_time of the oldest ended task that is still there although
    it has passed; None when retention has nothing to do.
    """

    database_bytes: int
    tasks: Mapping[State, int]
    overdue_since_us: int | None

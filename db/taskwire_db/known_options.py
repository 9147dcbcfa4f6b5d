"""The option sets that a process knows, so that it reads none twice and writes none again soon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskwire_core.options import TaskOptions

OPTIONS_KNOWN_US = 10 * 60 * 1_000_000
"""How long a process takes an option set for stored. What is in use is written again after that,
so that retention can tell what nobody uses (see `operations/retention.py`)."""

MOST = 4096
"""So many are known, and a transaction's more. Beyond that all are forgotten, for a caller may
give every task a set of its own."""


class KnownOptions:
    """Those of one database, for all threads of the process.

    An id names its content: what was known once is right for ever.
    """

    def __init__(self) -> None:
        self._sets: dict[int, TaskOptions] = {}
        self._stored_us: dict[int, int] = {}

    def among(self, ids: Iterable[int]) -> dict[int, TaskOptions]:
        """Those of `ids` that are known: a copy, for another thread may forget them."""
        known = self._sets
        return {key: found for key in ids if (found := known.get(key)) is not None}

    def learn(self, sets: Mapping[int, TaskOptions]) -> None:
        """Know `sets` from now on, whether they are stored or not."""
        if len(self._sets) >= MOST:
            self._sets = {}
        self._sets.update(sets)

    def is_stored(self, key: int, now_us: int) -> bool:
        """Whether this process has committed the set lately."""
        stored_us = self._stored_us.get(key)
        return stored_us is not None and abs(now_us - stored_us) < OPTIONS_KNOWN_US

    def note_stored(self, keys: Iterable[int], now_us: int) -> None:
        """The sets `keys` were committed in a transaction of that time."""
        if len(self._stored_us) >= MOST:
            self._stored_us = {}
        self._stored_us.update(dict.fromkeys(keys, now_us))

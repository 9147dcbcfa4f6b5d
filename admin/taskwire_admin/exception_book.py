"""The exceptions of a process, or of several, aggregated and bounded.

`periskop-client` brings a collector, which is not made for threads, keeps every key for ever
and forgets the newest error instead of the oldest. This one keeps a bounded number of keys and
of errors; Periskop's own rule still names the keys.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from taskwire_admin.occurrence import ERROR, Bundle, Occurrence

MAX_KEYS = 100
MAX_ERRORS = 10
"""How many of a key are kept, as in Periskop's own clients."""


class ExceptionBook:
    """Thread-safe. A worker process `take`s what its supervisor `add`s to its own book."""

    def __init__(self, *, max_keys: int = MAX_KEYS) -> None:
        self._lock = threading.Lock()
        # The key that was seen longest ago comes first.
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()
        self._max_keys = max_keys
        self.total = 0
        """How many exceptions were recorded."""
        self.evicted = 0
        """How many keys were forgotten for newer ones, with what was known of them."""

    def record(self, occurrence: Occurrence) -> None:
        """Count one exception, and keep it as its key's newest."""
        # Imported here: most processes have none to record, and it loads two megabytes.
        from taskwire_admin.periskop import aggregation_key

        key = aggregation_key(occurrence)
        one = Bundle(key, 1, occurrence.severity, occurrence.at, (occurrence,))
        with self._lock:
            self._merge(one)

    def add(self, bundles: Iterable[Bundle]) -> None:
        """Count what another process has recorded."""
        with self._lock:
            for bundle in bundles:
                self._merge(bundle)

    def take(self, limit: int) -> tuple[Bundle, ...]:
        """Up to `limit` keys with what is known of them, oldest first; they are forgotten here."""
        with self._lock:
            count = min(limit, len(self._bundles))
            return tuple(self._bundles.popitem(last=False)[1] for _ in range(count))

    def bundles(self) -> list[Bundle]:
        """All keys, the one that was seen last at the end."""
        with self._lock:
            return list(self._bundles.values())

    def _merge(self, new: Bundle) -> None:
        self.total += new.count
        known = self._bundles.pop(new.key, None)
        self._bundles[new.key] = new if known is None else _sum(known, new)
        if len(self._bundles) > self._max_keys:
            self._bundles.popitem(last=False)
            self.evicted += 1


def _sum(known: Bundle, new: Bundle) -> Bundle:
    return replace(
        known,
        count=known.count + new.count,
        severity=ERROR if ERROR in (known.severity, new.severity) else new.severity,
        newest=(known.newest + new.newest)[-MAX_ERRORS:],
    )

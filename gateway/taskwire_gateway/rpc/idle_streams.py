"""Streams with nothing to do: a drain ends those that would wait as long as their callers like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskwire_gateway.admission import draining


class IdleStreams:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._draining = False
        self._idle: set[asyncio.Task[Any]] = set()  # grpc's own

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Around what a stream waits for between two of its messages.

        Never around sending one: grpc would forget the call whose handler is cancelled there.

        Raises:
            RequestError: this server drains.
        """
        if self._draining:
            raise draining()
        task = asyncio.current_task()
        assert task is not None, "grpc serves each call in a task"
        self._idle.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._draining:
                raise draining() from None
            raise
        finally:
            self._idle.discard(task)

    def drain(self) -> None:
        """End those that are idle, and each that would be."""
        self._draining = True
        for task in self._idle:
            task.cancel()

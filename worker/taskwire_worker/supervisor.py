"""The parent of the worker processes: starts, watches, renews, replaces and drains them.

It runs no handler and imports none, so it keeps their leases whatever they do to themselves.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType

from taskwire_admin.admin import Admin
from taskwire_core.settings import Settings
from taskwire_worker.heart import Beat, Heart, News, NotRegistered, Registered
from taskwire_worker.observation import Observations
from taskwire_worker.ports import WorkerBook
from taskwire_worker.post import Phase, Post
from taskwire_worker.spawn import Child
from taskwire_worker.standing import CrewsStanding
from taskwire_worker.supervisor_metrics import SupervisorState

_LOG = logging.getLogger(__name__)

REFUSED = 2
"""The exit code of a process that cannot start as it is configured."""

# What a child may need after its grace: stopping handlers, the last commits, the spool.
_DRAIN_SLACK_S = 12.0
_GOODBYE_S = 10.0


class Supervisor:
    """`run` in the main thread of the process; it handles the signals there."""

    def __init__(
        self, settings: Settings, book: WorkerBook, admin: Admin, *, start: Callable[[], Child]
    ) -> None:
        """`start` makes a worker process; it is called in the main thread."""
        self._settings = settings
        self._admin = admin
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        interval_s = settings.lease_ttl.total_seconds() / 4
        self._heart = Heart(book, interval_s=interval_s, tell=self._hear_news)
        observations = Observations(admin.instruments)
        self._posts = [
            Post(settings, self._heart, observations, start=start)
            for _ in range(settings.worker_processes)
        ]
        self._signals = 0
        self._draining = False
        self._kill_at = float("inf")
        self._last_step = self._last_beat = time.monotonic()
        admin.instruments.registry.register(
            SupervisorState(
                self._posts,
                last_beat=lambda: self._last_beat,
                spool=settings.data_dir / "spool",
            )
        )

    def run(self) -> int:
        """Works until SIGTERM or SIGINT and answers with the process's exit code.

        A first signal drains, a second one ends everything now.
        """
        self._heart.start()
        standing = CrewsStanding(
            self._posts,
            last_step=lambda: self._last_step,
            last_beat=lambda: self._last_beat,
            lease_s=self._settings.lease_ttl.total_seconds(),
        )
        self._admin.healthy, self._admin.ready = standing.healthy, standing.ready
        with self._signals_handled():
            while not self._over():
                self._step()
        refusal = self._refusal()
        if refusal is not None:
            print(f"taskwire worker: {refusal}", file=sys.stderr)  # noqa: T201  # for a person
        if not self._heart.stop(_GOODBYE_S):
            _LOG.error("store away, tasks are recovered when their lease ends")
        return REFUSED if refusal is not None else 0

    def stop(self) -> None:
        """What a signal does, from any thread."""
        self._signals += 1
        os.eventfd_write(self._bell, 1)

    def _step(self) -> None:
        now = self._last_step = time.monotonic()
        self._obey_signals(now)
        for post in self._posts:
            if post.phase is Phase.EMPTY and not self._draining and now >= post.fill_at:
                post.fill()
        self._listen()
        for post in self._posts:
            post.ended()
        if self._refusal() is not None and not self._draining:
            self._drain(now, grace_s=0.0)

    def _over(self) -> bool:
        return self._draining and all(post.child is None for post in self._posts)

    def _refusal(self) -> str | None:
        return next((post.refusal for post in self._posts if post.refusal is not None), None)

    def _obey_signals(self, now: float) -> None:
        if self._signals and not self._draining:
            _LOG.info(
                "worker draining", extra={"grace_s": self._settings.drain_grace.total_seconds()}
            )
            self._drain(now, grace_s=self._settings.drain_grace.total_seconds())
        if self._signals > 1 or now > self._kill_at:
            for post in self._posts:
                post.kill()

    def _drain(self, now: float, *, grace_s: float) -> None:
        self._draining = True
        self._kill_at = now + grace_s + _DRAIN_SLACK_S
        for post in self._posts:
            post.drain(grace_s)

    def _listen(self) -> None:
        pipes = {post.child.pipe: post for post in self._posts if post.child is not None}
        for ready in wait([*pipes, self._bell], timeout=0.5):
            if isinstance(ready, Connection):
                self._hear(pipes[ready], ready)
            else:
                os.eventfd_read(self._bell)
        while not self._news.empty():
            self._act_on(self._news.get())

    def _hear(self, post: Post, pipe: Connection) -> None:
        try:
            post.heard(pipe.recv())
        except (EOFError, OSError):
            post.bury()

    def _act_on(self, news: News) -> None:
        if not isinstance(news, NotRegistered):
            self._last_beat = max(self._last_beat, news.at)
        for post in self._posts:
            match news:
                case NotRegistered(worker_id) if worker_id == post.worker_id:
                    post.kill()
                case Registered(worker_id, at) if worker_id == post.worker_id:
                    post.registered(at)
                case Beat(at, asked, renewal) if post.worker_id in asked:
                    if post.worker_id in renewal.alive:
                        cancelling = renewal.cancelling.get(post.worker_id, ())
                        post.renewed(at, tuple(cancelling))
                    elif post.child is not None:
                        post.lease_gone()

    def _hear_news(self, news: News) -> None:
        self._news.put(news)
        os.eventfd_write(self._bell, 1)

    @contextmanager
    def _signals_handled(self) -> Iterator[None]:
        def handle(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {
            number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

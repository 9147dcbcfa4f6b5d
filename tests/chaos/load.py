"""The load of a run: callers that go on whatever happens to the services."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

from tests.chaos.aside import Aside
from tests.chaos.caller import Caller, Known, Plan
from tests.chaos.journal import JournalReader
from tests.chaos.recording import Recorder, RecordingClient
from tests.support.eventually import eventually

_CALL_S = 5.0

__all__ = ["Load", "Plan"]


class Load:
    """Callers that go to `addresses` in turn; `start` starts them, `end` ends them.

    Everything that they do is decided by `seed`, but for what they know of when they do it.
    """

    def __init__(self, addresses: Sequence[str], recorder: Recorder, seed: int, plan: Plan) -> None:
        self.known = Known()
        self.journal = JournalReader(recorder.path)
        self.aside = Aside(plan.aside)
        self.problems: list[BaseException] = []
        self._ended = threading.Event()
        self._clients = [RecordingClient(recorder, each, timeout_s=_CALL_S) for each in addresses]
        self._threads = [
            threading.Thread(target=self._run, args=[caller], daemon=True)
            for caller in (
                Caller(
                    self._clients,
                    random.Random(f"{seed} caller {number}"),
                    plan,
                    self.known,
                    self.journal,
                    self._ended,
                    self.aside,
                )
                for number in range(plan.callers)
            )
        ]

    def start(self) -> None:
        """Begin to call."""
        for thread in self._threads:
            thread.start()

    def more(self, count: int, *, within: float = 120) -> None:
        """Wait until `count` more tasks have been acknowledged than now."""
        goal = len(self.known) + count
        eventually(
            lambda: len(self.known) >= goal or self.problems,
            within=within,
            what=f"{count} more tasks are acknowledged",
        )
        self._raise_problems()

    def end(self, *, within: float = 60) -> None:
        """Call no more, once what is under way was answered."""
        self._ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(within)
                assert not thread.is_alive(), "a caller has not been answered"
        self._raise_problems()

    def close(self) -> None:
        """End every connection; watches that are open are left."""
        self._ended.set()
        for client in self._clients:
            client.close()

    def _run(self, caller: Caller) -> None:
        try:
            caller.run()
        except BaseException as problem:
            self.problems.append(problem)

    def _raise_problems(self) -> None:
        problems = [*self.problems, *self.aside.problems]
        if problems:
            raise AssertionError("the load has stumbled") from problems[0]

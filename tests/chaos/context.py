"""What a row is given: a cluster under load, and words for what it does to it."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from taskwire.v1.options_pb2 import TaskOverrides
from taskwire_core.lifecycle import State
from tests.chaos.cluster import Cluster
from tests.chaos.journal import JournalReader
from tests.chaos.load import Load
from tests.chaos.recording import Recorder, RecordingClient
from tests.chaos.records import Fail, Ok, Told
from tests.chaos.servers import Servers
from tests.chaos.work import Kind, new_request_id, work
from tests.support.eventually import eventually


@dataclass(frozen=True, slots=True)
class Chaos:
    """One run of a row. Whatever is random in it comes from `chance`, so that a seed replays it."""

    cluster: Cluster
    load: Load
    recorder: Recorder
    journal: JournalReader
    client: RecordingClient
    """A client of the first gateway, for the row itself."""
    chance: random.Random

    @property
    def servers(self) -> Servers:
        """RabbitMQ, Redis and PostgreSQL."""
        return self.cluster.servers

    # What is broken is written down, or the history would not show it.

    @contextmanager
    def fault(self, name: str, target: str = "") -> Iterator[None]:
        """Something is broken as long as the block takes, such as "unreachable" "rabbitmq"."""
        with self.recorder.fault(name, target):
            yield

    def stay(self, seconds: float) -> None:
        """Let a fault last for as long as the matrix says, under load."""
        threading.Event().wait(seconds)

    def kill(self, name: str) -> None:
        """A service is lost with its host."""
        self.recorder.begin_fault("lost host", name)
        self.cluster.kill(name)

    def kill_child(self, name: str) -> int:
        """One process of a worker that claims is killed; its supervisor lives. Which one."""
        self.recorder.begin_fault("killed child", name)
        pid, *_ = self.cluster.send("KILL", name, to="child")
        return pid

    def dies_at(self, name: str, *failpoints: str) -> None:
        """A service is started anew for each failpoint, and dies there with its host."""
        self.cluster.stop(name)
        for failpoint in failpoints:
            hit = self.chance.randint(1, 3)
            self.cluster.start(name, failpoints=f"{failpoint}:kill-group@{hit}", wait=False)
            code = self.cluster.wait_until_ended(name, within=120)
            self.recorder.begin_fault(f"killed at {failpoint}", name)
            assert code == -signal.SIGKILL, f"{name} ended with {code} at {failpoint}"
        self.cluster.start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A service stands still with all its processes, and goes on after the block."""
        with self.fault("SIGSTOP", name):
            self.cluster.send("STOP", name, to="all")
            try:
                yield
            finally:
                self.cluster.send("CONT", name, to="all")

    # Tasks of the row itself, beside the load's.

    def submit(
        self,
        kind: Kind = "Work",
        seconds: float = 0.0,
        *,
        within: float = 60,
        overrides: TaskOverrides | None = None,
        **script: Any,
    ) -> str:
        """The id of a new task of the row; it is repeated until it is acknowledged."""
        request = work(kind, seconds, **{"key": "row", **script})
        request_id = new_request_id(self.chance)

        def acknowledged() -> str:
            outcome = self.client.submit(request, request_id=request_id, overrides=overrides)
            if isinstance(outcome, Fail) and outcome.code == "INVALID_ARGUMENT":
                raise ValueError(outcome.message)
            assert isinstance(outcome, Ok), outcome
            return outcome.told[0].task_id

        return eventually(acknowledged, within=within)

    def ended(self, task_id: str, *, within: float = 120) -> Told:
        """What is told of a task when it has ended."""

        def found() -> Told:
            outcome = self.client.wait(task_id, 1)
            assert isinstance(outcome, Ok), outcome
            assert State[outcome.told[0].state].terminal, outcome
            return outcome.told[0]

        return eventually(found, within=within, what=f"{task_id} has ended")

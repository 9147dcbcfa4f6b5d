"""Raw Dramatiq: the worker as its documentation starts it, fed before it is started."""

from __future__ import annotations

import subprocess

from bench.subjects.program import Program
from bench.subjects.subject import BENCH_PYTHON, ROOT


class RawDramatiq(Program):
    """One process with eight threads, like taskwire's default; messages wait in RabbitMQ for it.

    Nobody else takes the cores while it works, which is more than our worker is given.
    """

    name = family = "raw Dramatiq"

    def start(self) -> None:
        """There is no service before there are messages."""

    def enqueue(self, tasks: int) -> None:
        """Leave so many messages in the queue."""
        producer = [str(BENCH_PYTHON), "-m", "bench.baseline.raw_dramatiq", str(tasks)]
        subprocess.run(producer, cwd=ROOT, env=self.environment, check=True, timeout=120)

    def start_worker(self) -> None:
        self.spawn("worker", "-m dramatiq -p 1 -t 8 bench.baseline.raw_dramatiq")

    def ended(self) -> int:
        return self.ended_file.stat().st_size

    def check(self, expected: int) -> None:
        assert self.ended() == expected, (self.ended(), expected)

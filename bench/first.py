"""The first measurement: taskwire beside S1, in one run, alternating A B B A.

Both stand on the same RabbitMQ and Redis, which this starts; each visit to a subject starts its
services anew on an empty database. A round is timed from the client's first request to the
moment when the database counts the last task as ended. Absolute figures belong to the machine
and the hour: trust the ratios, which are taken pair by pair.

    make bench-first
    make bench-first BENCH="--pairs 3 --only single,batch"
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import redis

from bench.machine import cpu_s, environment
from bench.subjects import BASELINE_PYTHON, ROOT, Baseline, Subject, Taskwire
from tests.support.servers import RabbitServer, RedisServer

WARM_UP = 200
PATIENCE_S = 300.0
_POLL_S = 0.01

PACKAGES = {
    "taskwire": ("dramatiq", "grpcio", "pika", "protobuf", "redis", "sqlalchemy", "uvloop"),
    "S1": ("aiohttp", "celery", "fastapi", "kombu", "redis", "sqlalchemy", "uvicorn", "uvloop"),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """What a client does in one round; `calls` by the name of the subject."""

    name: str
    kind: str
    at_once: int
    calls: dict[str, int]
    tasks_per_call: int = 1


WORKLOADS = (
    Workload("single", "single", 32, {"taskwire": 2_000, "S1": 1_000}),
    Workload("batch", "batch", 4, {"taskwire": 100, "S1": 20}, tasks_per_call=100),
    Workload("call-1", "call", 1, {"taskwire": 300, "S1": 200}),
    Workload("call-32", "call", 32, {"taskwire": 2_000, "S1": 500}),
)


@dataclass(frozen=True, slots=True)
class Round:
    """One workload against one subject."""

    subject: str
    workload: str
    tasks: int
    answered_per_s: float
    done_per_s: float
    call_p50_ms: float
    call_p99_ms: float
    cpu_s: dict[str, float]

    @property
    def cpu_ms_per_task(self) -> float:
        """Of all servers together; the client is apart."""
        spent = sum(used for name, used in self.cpu_s.items() if name != "client")
        return 1_000 * spent / self.tasks


class Bench:
    """The shared servers, and the rounds measured over them."""

    def __init__(self, rabbit: RabbitServer, redis_server: RedisServer, scale: float) -> None:
        self._rabbit = rabbit
        self._redis = redis_server
        self._scale = scale
        self.rounds: list[Round] = []

    def visit(self, subject: type[Taskwire] | type[Baseline], workloads: list[Workload]) -> None:
        """Start the subject on empty data, run every workload once, check the counts, end it."""
        with redis.Redis.from_url(self._redis.url) as connection:
            connection.flushall()
        running = subject(self._rabbit.url, self._redis.url)
        try:
            running.start()
            self._client(running, "single", calls=WARM_UP, at_once=8)
            expected = WARM_UP
            _wait_until(running, expected)
            for workload in workloads:
                calls = max(workload.at_once, round(workload.calls[running.name] * self._scale))
                tasks = calls * workload.tasks_per_call
                expected += tasks
                self.rounds.append(self._round(running, workload, calls, tasks, expected))
            running.check(expected)
        except BaseException:
            print(running.log(), file=sys.stderr)
            raise
        finally:
            running.close()

    def _round(
        self, running: Subject, workload: Workload, calls: int, tasks: int, expected: int
    ) -> Round:
        before = self._cpu(running)
        ended: list[float] = []
        seen = self._client(
            running,
            workload.kind,
            calls=calls,
            at_once=workload.at_once,
            meanwhile=lambda: ended.append(_wait_until(running, expected)),
        )
        used = {name: spent - before[name] for name, spent in self._cpu(running).items()}
        seconds = sorted(seen["seconds"])
        found = Round(
            subject=running.name,
            workload=workload.name,
            tasks=tasks,
            answered_per_s=tasks / (seen["answered"] - seen["first"]),
            done_per_s=tasks / (ended[0] - seen["first"]),
            call_p50_ms=1_000 * seconds[len(seconds) // 2],
            call_p99_ms=1_000 * seconds[int(len(seconds) * 0.99)],
            cpu_s={**used, "client": seen["cpu_s"]},
        )
        print(
            f"  {found.subject:9}{found.workload:8}{found.done_per_s:9,.0f} tasks/s, call p50"
            f" {found.call_p50_ms:.1f} ms, CPU {found.cpu_ms_per_task:.2f} ms/task",
            flush=True,
        )
        return found

    def _client(
        self,
        running: Subject,
        kind: str,
        *,
        calls: int,
        at_once: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict:  # type: ignore[type-arg]  # what bench/load/measure.py prints
        numbers = ["--calls", str(calls), "--at-once", str(at_once)]
        client = subprocess.Popen(
            [str(running.python), "-m", running.client, kind, running.address, *numbers],
            cwd=ROOT,
            env=running.client_environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            meanwhile()
            output, _ = client.communicate(timeout=PATIENCE_S)
        finally:
            client.kill()
            client.wait()
        if client.returncode != 0:
            raise SystemExit(f"the client of {running.name} failed at {kind}")
        found: dict[str, object] = json.loads(output)
        return found

    def _cpu(self, running: Subject) -> dict[str, float]:
        servers = {"rabbitmq": self._rabbit.pid, "redis": self._redis.pid}
        roots = {**running.processes, **{name: pid for name, pid in servers.items() if pid}}
        return {name: cpu_s(pid) for name, pid in roots.items()}


def _wait_until(running: Subject, expected: int) -> float:
    give_up_at = time.monotonic() + PATIENCE_S
    while (done := running.done()) < expected:
        if time.monotonic() > give_up_at:
            raise SystemExit(f"{running.name}: {done} of {expected} tasks ended in {PATIENCE_S} s")
        time.sleep(_POLL_S)
    return time.monotonic()


@contextmanager
def servers() -> Iterator[tuple[RabbitServer, RedisServer]]:
    """A RabbitMQ and a Redis of this run's own."""
    rabbit, redis_server = RabbitServer(), RedisServer()
    try:
        rabbit.start()
        redis_server.start()
        yield rabbit, redis_server
    finally:
        rabbit.close()
        redis_server.close()


def table(rounds: list[Round]) -> str:
    """Every figure as median [lowest - highest], and the ratios of taskwire to S1 by pair."""
    lines = ["", f"{'':9}{'':9}{'tasks/s':>24}{'call p50 ms':>22}{'call p99 ms':>24}{'CPU ms':>9}"]
    for workload in dict.fromkeys(found.workload for found in rounds):
        ours, theirs = (
            [r for r in rounds if r.subject == name and r.workload == workload]
            for name in ("taskwire", "S1")
        )
        for some in (ours, theirs):
            if some:
                lines.append(
                    f"{some[0].workload:9}{some[0].subject:9}"
                    f"{_spread([r.done_per_s for r in some], ',.0f'):>24}"
                    f"{_spread([r.call_p50_ms for r in some], '.1f'):>22}"
                    f"{_spread([r.call_p99_ms for r in some], '.1f'):>24}"
                    f"{statistics.median(r.cpu_ms_per_task for r in some):9.2f}"
                )
                lines.append(f"{'':18}CPU ms per task: {_cpu_split(some)}")
        if ours and theirs:
            pairs = list(zip(ours, theirs, strict=False))
            ratios = [
                ("tasks/s", [a.done_per_s / b.done_per_s for a, b in pairs]),
                ("answers/s", [a.answered_per_s / b.answered_per_s for a, b in pairs]),
                ("p50", [a.call_p50_ms / b.call_p50_ms for a, b in pairs]),
                ("CPU", [a.cpu_ms_per_task / b.cpu_ms_per_task for a, b in pairs]),
            ]
            said = ", ".join(f"{name} {_spread(found, '.2f')}" for name, found in ratios)
            lines.append(f"{workload:9}{'ratio':9}{said}")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} [{low:{form}}-{high:{form}}]"


def _cpu_split(some: list[Round]) -> str:
    return ", ".join(
        f"{name} {statistics.median(1_000 * r.cpu_s[name] / r.tasks for r in some):.2f}"
        for name in some[0].cpu_s
    )


def main() -> None:
    """Measure and print; the JSON beside the table has every round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads, comma-separated; default: all")
    parser.add_argument("--subjects", default="taskwire,S1")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of calls")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "bench" / "first.json")
    asked = parser.parse_args()
    names = [found.name for found in WORKLOADS]
    wanted = asked.only.split(",") if asked.only else names
    if unknown := set(wanted) - set(names):
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; choose of {names}")
    workloads = [found for found in WORKLOADS if found.name in wanted]
    subjects = [found for found in (Taskwire, Baseline) if found.name in asked.subjects.split(",")]
    # The end by a signal reaps what was started, like every other end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    began = datetime.now(UTC).isoformat(timespec="seconds")
    pythons = {"taskwire": Path(sys.executable), "S1": BASELINE_PYTHON}
    report: dict[str, object] = {"began": began, "environment": environment(pythons, PACKAGES)}
    print(json.dumps(report["environment"], indent=2))
    with servers() as (rabbit, redis_server):
        report["rabbitmq"] = rabbit.ctl("version").strip()
        with redis.Redis.from_url(redis_server.url) as connection:
            report["redis"] = connection.info("server")["redis_version"]
        bench = Bench(rabbit, redis_server, asked.scale)
        for pair in range(asked.pairs):
            print(f"pair {pair + 1} of {asked.pairs}", flush=True)
            for subject in subjects if pair % 2 == 0 else subjects[::-1]:
                bench.visit(subject, workloads)
    report["rounds"] = [asdict(found) for found in bench.rounds]
    report["table"] = table(bench.rounds).splitlines()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(report, indent=2) + "\n")
    print(table(bench.rounds))
    print(f"\nEvery round is in {asked.out}")


if __name__ == "__main__":
    main()

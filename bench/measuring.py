"""One visit to a subject: it is started on empty data, asked, counted and ended."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import redis

from bench.load.h2load import PATIENCE_S, H2load
from bench.load.seen import Seen
from bench.machine import cpu_s, pss_mb
from bench.plan import Visit
from bench.rounds import Round, quantiles_of
from bench.subjects.raw_dramatiq import RawDramatiq
from bench.subjects.subject import ROOT, Servers, Subject
from bench.workloads import WORKLOADS, Workload

_POLL_S = 0.005
_WARM_UP_TASKS = 200
_AT_REST_S = 1.0


class Measuring:
    """The rounds of one visit to a running subject."""

    def __init__(self, subject: Subject, pair: int, scale: float) -> None:
        self._subject = subject
        self._pair = pair
        self._scale = scale
        self._expected = 0

    def run(self, names: tuple[str, ...]) -> list[Round]:
        """A round of each workload; then everything that was handed over is counted."""
        self._subject.start()
        if not isinstance(self._subject, RawDramatiq):
            self._served(replace(WORKLOADS[names[0]], at_once=2, per_second=0.0), _WARM_UP_TASKS)
        found = []
        for name in names:
            workload = WORKLOADS[name]
            found.append(self._round(workload))
            print(_line(found[-1]), flush=True)
        self._subject.check(self._expected)
        return found

    def _round(self, workload: Workload) -> Round:
        if workload.kind == "memory":
            time.sleep(_AT_REST_S)
            mb = pss_mb(self._subject.processes.values())
            return Round(self._pair, self._subject.name, workload.name, {"pss_mb": mb})
        tasks = workload.size(self._subject.family, self._scale)
        if isinstance(self._subject, RawDramatiq):
            return self._processed(self._subject, workload, tasks)
        before = self._cpu()
        seen, ended = self._served(workload, tasks)
        used = {name: round(spent - before[name], 3) for name, spent in self._cpu().items()}
        own = sum(used[name] for name in self._subject.processes)
        quantiles = quantiles_of(seen.seconds)
        figures = {
            "tasks": tasks,
            "answered_per_s": tasks / (seen.answered - seen.first),
            "ended_per_s": tasks / (ended - seen.first),
            "p50_ms": quantiles[10],
            "p99_ms": quantiles[-2],
            "cpu_ms": 1_000 * (sum(used.values()) - used["client"]) / tasks,
            "own_cpu_ms": 1_000 * own / tasks,
        }
        if workload.ideal_per_s:
            figures["of_ideal"] = figures["ended_per_s"] / workload.ideal_per_s
        return Round(
            self._pair, self._subject.name, workload.name, _rounded(figures), quantiles, used
        )

    def _served(self, workload: Workload, tasks: int) -> tuple[Seen, float]:
        """What the client saw, and when the last task had ended."""
        self._expected += tasks
        if workload.kind in ("call", "push"):
            return self._told(workload, tasks)
        per_call = tasks if workload.kind == "stream" else workload.per_call
        client = H2load(
            self._subject.addresses,
            self._subject.request(workload.kind, per_call),
            calls=tasks // per_call,
            clients=1 if workload.kind == "stream" else workload.at_once,
        )
        try:
            ended = self._wait(self._expected)
            seen = client.finish()
        finally:
            client.close()
        return seen, max(ended or 0.0, seen.answered)

    def _told(self, workload: Workload, tasks: int) -> tuple[Seen, float]:
        """The same with a client that hears of the ends itself."""
        command, env = self._subject.client()
        numbers = [f"--calls={tasks}", f"--at-once={workload.at_once}"]
        numbers.append(f"--per-second={workload.per_second}")
        done = subprocess.run(
            [*command, workload.kind, self._subject.addresses[0], *numbers],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        seen = Seen(**json.loads(done.stdout))
        return seen, seen.answered

    def _processed(self, subject: RawDramatiq, workload: Workload, tasks: int) -> Round:
        """From the first message that ended to the last."""
        self._expected += tasks
        subject.enqueue(tasks)
        subject.start_worker()
        began, early = self._wait(1), subject.ended()
        ended = self._wait(tasks)
        assert began is not None
        assert ended is not None
        figures = {"tasks": tasks, "ended_per_s": (tasks - early) / (ended - began)}
        return Round(self._pair, subject.name, workload.name, _rounded(figures))

    def _wait(self, expected: int) -> float | None:
        """When so many had ended; None when there is nothing that could be counted."""
        give_up_at = time.monotonic() + PATIENCE_S
        while (ended := self._subject.ended()) is not None and ended < expected:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{ended} of {expected} tasks ended in {PATIENCE_S:.0f} s")
            time.sleep(_POLL_S)
        return None if ended is None else time.time()

    def _cpu(self) -> dict[str, float]:
        roots = {**self._subject.processes, **self._subject.servers}
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            **{name: cpu_s(pid) for name, pid in roots.items()},
            "client": client.ru_utime + client.ru_stime,
        }


def measure(visit: Visit, servers: Servers, *, pair: int, scale: float) -> list[Round]:
    """Start the subject on empty data, measure, and end all of it, whatever comes."""
    with redis.Redis.from_url(servers.redis.url) as connection:
        connection.flushall()
    subject = visit.make(servers)
    try:
        return Measuring(subject, pair, scale).run(visit.workloads)
    except BaseException:
        print(subject.log(), file=sys.stderr)
        raise
    finally:
        subject.close()


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in figures.items()}


def _line(found: Round) -> str:
    wanted: dict[str, Callable[[float], str]] = {
        "ended_per_s": "{:,.0f} tasks/s".format,
        "answered_per_s": "{:,.0f} answers/s".format,
        "p50_ms": "p50 {:.1f} ms".format,
        "p99_ms": "p99 {:.1f} ms".format,
        "cpu_ms": "CPU {:.2f} ms a task".format,
        "of_ideal": "{:.2f} of ideal".format,
        "pss_mb": "{:.0f} MB".format,
    }
    said = [show(found.figures[name]) for name, show in wanted.items() if name in found.figures]
    return f"  {found.subject:20} {found.workload:17} {', '.join(said)}"

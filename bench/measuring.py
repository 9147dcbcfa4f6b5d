"""One visit to a subject: it is started on empty data, asked, counted and ended."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import redis

from bench.load.h2load import PATIENCE_S, H2load
from bench.load.seen import Seen
from bench.machine import cpu_s, pss_mb
from bench.plan import Visit
from bench.probe import GAP_S, probing
from bench.rounds import QUANTILES, Round, quantiles_of
from bench.subjects.raw_dramatiq import RawDramatiq
from bench.subjects.subject import ROOT, Servers, Subject
from bench.subjects.taskwire import Taskwire
from bench.watches import watches
from bench.workloads import WORKLOADS, Workload

_POLL_S = 0.005
_AT_REST_S = 1.0
TOLD = ("call", "push")
SERVED = ("unary", "stream", "batch", "naps", "thumbnails", *TOLD)
"""Kinds of which a client hands over so many tasks, and all of them end."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a round has, but for whose it is."""

    figures: dict[str, float]
    latencies_ms: list[float] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)


class Measuring:
    """The rounds of one visit to a running subject."""

    def __init__(self, subject: Subject, scale: float) -> None:
        self._subject = subject
        self._scale = scale
        self._expected = 0

    def run(self, names: tuple[str, ...], pair: int) -> list[Round]:
        """A round of each workload; then everything that was handed over is counted."""
        self._subject.start()
        self._warm_up([WORKLOADS[name] for name in names])
        found = []
        for name in names:
            measured = self._measured(WORKLOADS[name])
            figures = {name: float(f"{value:.5g}") for name, value in measured.figures.items()}
            found.append(
                Round(
                    pair, self._subject.name, name, figures, measured.latencies_ms, measured.cpu_s
                )
            )
            print(_line(found[-1]), flush=True)
        self._subject.check(self._expected)
        return found

    def _warm_up(self, workloads: list[Workload]) -> None:
        served = [each for each in workloads if each.kind in SERVED]
        if served:
            self._served(replace(served[0], at_once=2, per_second=0.0), served[0].warm_up)

    def _measured(self, workload: Workload) -> Measured:
        subject = self._subject
        if workload.kind == "memory":
            time.sleep(_AT_REST_S)
            each = {f"{name}_mb": pss_mb([pid]) for name, pid in subject.processes.items()}
            return Measured({"pss_mb": pss_mb(subject.processes.values()), **each})
        tasks = workload.size(subject.family, self._scale)
        if workload.kind == "processed":
            assert isinstance(subject, RawDramatiq)
            return self._processed(subject, tasks)
        if workload.kind == "watches":
            assert isinstance(subject, Taskwire)
            self._expected += tasks
            return Measured(watches(subject, tasks))
        if workload.kind == "idle":
            with probing(subject.addresses[0]) as seconds:
                time.sleep(tasks * GAP_S)
            return Measured(_probed(seconds), quantiles_of(seconds))
        if workload.probed:
            with probing(subject.addresses[0]) as seconds:
                measured = self._round(workload, tasks)
            return replace(measured, figures=measured.figures | _probed(seconds))
        return self._round(workload, tasks)

    def _round(self, workload: Workload, tasks: int) -> Measured:
        before = self._cpu()
        seen, ended = self._served(workload, tasks)
        used = {name: round(spent - before[name], 3) for name, spent in self._cpu().items()}
        own = sum(used[name] for name in self._subject.processes)
        quantiles = quantiles_of(seen.seconds)
        figures = {
            "tasks": tasks,
            "answered_per_s": tasks / (seen.answered - seen.first),
            "ended_per_s": tasks / (ended - seen.first),
            "p50_ms": quantiles[QUANTILES.index(0.5)],
            "p99_ms": quantiles[QUANTILES.index(0.99)],
            "cpu_ms": 1_000 * (sum(used.values()) - used["client"]) / tasks,
            "own_cpu_ms": 1_000 * own / tasks,
        }
        if workload.ideal_per_s:
            figures["of_ideal"] = figures["ended_per_s"] / workload.ideal_per_s
        return Measured(figures, quantiles, used)

    def _served(self, workload: Workload, tasks: int) -> tuple[Seen, float]:
        """What the client saw, and when the last task had ended."""
        self._expected += tasks
        if workload.kind in TOLD:
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

    def _processed(self, subject: RawDramatiq, tasks: int) -> Measured:
        """From the first message that ended to the last."""
        self._expected += tasks
        subject.enqueue(tasks)
        subject.start_worker()
        began, early = self._wait(1), subject.ended()
        ended = self._wait(tasks)
        assert began is not None
        assert ended is not None
        return Measured({"tasks": tasks, "ended_per_s": (tasks - early) / (ended - began)})

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
        return Measuring(subject, scale).run(visit.workloads, pair)
    except BaseException:
        print(subject.log(), file=sys.stderr)
        raise
    finally:
        subject.close()


def _probed(seconds: list[float]) -> dict[str, float]:
    quantiles = quantiles_of(seconds)
    return {
        "probe_p50_ms": quantiles[QUANTILES.index(0.5)],
        "probe_p99_ms": quantiles[QUANTILES.index(0.99)],
    }


def _line(found: Round) -> str:
    wanted: dict[str, Callable[[float], str]] = {
        "ended_per_s": "{:,.0f} tasks/s".format,
        "answered_per_s": "{:,.0f} answers/s".format,
        "p50_ms": "p50 {:.1f} ms".format,
        "p99_ms": "p99 {:.1f} ms".format,
        "cpu_ms": "CPU {:.2f} ms a task".format,
        "of_ideal": "{:.2f} of ideal".format,
        "pss_mb": "{:.0f} MB".format,
        "probe_p99_ms": "probes p99 {:.1f} ms".format,
        "kib_each": "{:.1f} KiB each".format,
        "lost": "{:.0f} lost".format,
    }
    said = [show(found.figures[name]) for name, show in wanted.items() if name in found.figures]
    return f"  {found.subject:20} {found.workload:17} {', '.join(said)}"

"""What taskwire is to reach: the table that every run is judged by.

A ratio is taken pair by pair, and its median is compared. A row is met when each of its figures
reaches what it must; a row that must reach nothing is measured and not counted.

S0 and S1 are asked by 32 clients, one task at a time, wherever taskwire takes streams and batches:
they have no streams, and that is how they are used. Beside batches stands what they do with the
same batch in one request. What a durable call must reach is meant for 32 at a time: with one at a
time it is a latency, and for that there is a row.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.rounds import At

OURS, POSTGRESQL, QUORUM = "taskwire", "taskwire-postgresql", "taskwire-quorum"


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio, or one value when there is nothing `to` which it is compared."""

    name: str
    of: At
    to: At | None
    must: float | None = None
    aim: float | None = None
    at_least: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """One row."""

    name: str
    figures: tuple[Figure, ...]

    @property
    def counts(self) -> bool:
        """Whether there is something that it must reach."""
        return any(figure.must is not None for figure in self.figures)


def _ended(subject: str, workload: str) -> At:
    return At(subject, workload, "ended_per_s")


def _faster(
    workload: str, s1: tuple[float, float], s0: tuple[float, float], subject: str = OURS
) -> tuple[Figure, ...]:
    ours = _ended(subject, workload)
    return (
        Figure("to S1", ours, _ended("S1", "unary"), *s1),
        Figure("to S0", ours, _ended("S0", "unary"), *s0),
    )


def _latency(figure: str, workload: str, must: float, aim: float) -> Figure:
    """Of the push of the terminal state, to S1's polling."""
    return Figure(
        f"{figure.removesuffix('_ms')} {workload.removeprefix('push ')}",
        At(OURS, workload, figure),
        At("S1", workload, figure),
        must,
        aim,
        at_least=False,
    )


def _cpu(workload: str, must: float, aim: float) -> Figure:
    ours = At(OURS, workload, "cpu_ms")
    return Figure(workload, ours, At("S0", "unary", "cpu_ms"), must, aim, at_least=False)


_UNARY, _STREAM, _BATCH = ((14, 20), (4, 6)), ((20, 35), (6, 10)), ((35, 65), (11, 20))

TARGETS = (
    Target("unary submit, end to end", _faster("unary", *_UNARY)),
    Target("stream submit, end to end", _faster("stream", *_STREAM)),
    Target("batch 100, end to end", _faster("batch", *_BATCH)),
    Target(
        "durable call, 32 at a time, to S1's submit + poll",
        (Figure("calls", _ended(OURS, "call 32"), _ended("S1", "call 32"), 8, 12),),
    ),
    Target(
        "submit → terminal push, to S1 polling at 10 ms",
        (
            _latency("p50_ms", "push 1 at a time", 0.35, 0.25),
            _latency("p99_ms", "push 1 at a time", 0.5, 0.33),
            _latency("p50_ms", "push 50/s", 0.35, 0.25),
            _latency("p99_ms", "push 50/s", 0.5, 0.33),
        ),
    ),
    Target(
        "unary submit rate, to a bare grpc.aio echo of the same message",
        (
            Figure(
                "answers",
                At(OURS, "unary", "answered_per_s"),
                At("bare echo", "unary", "answered_per_s"),
                0.45,
                0.6,
            ),
        ),
    ),
    Target("CPU per task, to S0", (_cpu("unary", 0.3, 0.2), _cpu("batch", 0.06, 0.03))),
    Target(
        "10 ms tasks, 64 slots, share of ideal",
        (Figure("share", At("taskwire-64-slots", "naps", "of_ideal"), None, 0.9, 0.95),),
    ),
    Target(
        "memory of gateway + worker, to S0's API + worker",
        (
            Figure(
                "PSS",
                At(OURS, "memory", "pss_mb"),
                At("S0", "memory", "pss_mb"),
                0.7,
                0.5,
                at_least=False,
            ),
        ),
    ),
    Target(
        "10,000 idle watches",
        (
            Figure("lost", At("taskwire-watches", "watches", "lost"), None, 0, 0, at_least=False),
            Figure(
                "KiB each",
                At("taskwire-watches", "watches", "kib_each"),
                None,
                40,
                25,
                at_least=False,
            ),
        ),
    ),
    Target(
        "cost per task with 10⁶ rows, to 10³ rows",
        tuple(
            Figure(
                f"CPU, {workload}",
                At("taskwire-1000000-rows", workload, "own_cpu_ms"),
                At("taskwire-1000-rows", workload, "own_cpu_ms"),
                1.15,
                1.05,
                at_least=False,
            )
            for workload in ("unary", "batch")
        ),
    ),
    Target(
        "our worker fed by batches, to raw Dramatiq, processed/s",
        (Figure("tasks", _ended(OURS, "batch"), _ended("raw Dramatiq", "processed"), 1, 2),),
    ),
    Target("PostgreSQL: unary submit, end to end", _faster("unary", *_UNARY, POSTGRESQL)),
    Target("PostgreSQL: stream submit, end to end", _faster("stream", *_STREAM, POSTGRESQL)),
    Target("PostgreSQL: batch 100, end to end", _faster("batch", *_BATCH, POSTGRESQL)),
    Target("quorum queues: unary submit, end to end", _faster("unary", *_UNARY, QUORUM)),
    Target("quorum queues: stream submit, end to end", _faster("stream", *_STREAM, QUORUM)),
    Target("quorum queues: batch 100, end to end", _faster("batch", *_BATCH, QUORUM)),
    Target(
        "thumbnails on all cores, to Celery prefork",
        (
            Figure(
                "thumbnails",
                _ended("taskwire-thumbnails", "thumbnails"),
                _ended("S0", "thumbnails"),
                1,
            ),
            Figure(
                "submit p99 meanwhile, to idle",
                At("taskwire-thumbnails", "thumbnails probed", "probe_p99_ms"),
                At("taskwire-thumbnails", "idle", "probe_p99_ms"),
                at_least=False,
            ),
        ),
    ),
    Target(
        "batch 100, to the same batch in one request",
        (
            Figure("to S1", _ended(OURS, "batch"), _ended("S1", "batch")),
            Figure("to S0", _ended(OURS, "batch"), _ended("S0", "batch")),
        ),
    ),
    Target(
        "durable call, 1 at a time, to S1's submit + poll",
        (Figure("calls", _ended(OURS, "call 1"), _ended("S1", "call 1")),),
    ),
    Target(
        "unary submit, end to end, to the tuned form that may lose tasks",
        (Figure("tasks", _ended(OURS, "unary"), _ended("tuned", "unary")),),
    ),
    Target(
        "two gateways, to one",
        (Figure("unary", _ended("taskwire-2-gateways", "unary"), _ended(OURS, "unary")),),
    ),
    Target(
        "two worker processes, to one",
        (Figure("batch", _ended("taskwire-2-workers", "batch"), _ended(OURS, "batch")),),
    ),
    Target(
        "PostgreSQL, two gateways and two worker processes, to one each",
        tuple(
            Figure(
                workload, _ended("taskwire-postgresql-2", workload), _ended(POSTGRESQL, workload)
            )
            for workload in ("unary", "batch")
        ),
    ),
)

"""Who is visited in a pair and what is asked of it: everything, or what fits into three minutes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from bench.filled import filled
from bench.subjects.bare_echo import BareEcho
from bench.subjects.celery import S0, S1, Tuned
from bench.subjects.program import Program
from bench.subjects.raw_dramatiq import RawDramatiq
from bench.subjects.subject import Servers, Subject
from bench.subjects.taskwire import Shape, Taskwire
from taskwire_core.queue_type import QueueType

CORES = os.cpu_count() or 1
SUBMITS = ("unary", "stream", "batch")
ENDS = ("call 1", "call 32", "push 1 at a time", "push 50/s")


@dataclass(frozen=True, slots=True)
class Visit:
    """One subject and its workloads, in their order."""

    name: str
    make: Callable[[Servers], Subject]
    workloads: tuple[str, ...]
    once: bool = False
    """Only in the first pair: it takes long, and is compared with nothing."""


def _taskwire(shape: Shape, *workloads: str, once: bool = False) -> Visit:
    return Visit(shape.name, lambda servers: Taskwire(shape, servers), workloads, once)


def _baseline(subject: type[Program], *workloads: str) -> Visit:
    return Visit(subject.name, subject, workloads)


def with_rows(rows: int) -> Visit:
    """A visit to a database that holds so many ended tasks."""
    return _taskwire(Shape(f"taskwire-{rows}-rows", fill=filled(rows)), "unary", "batch")


QUICK = (
    _taskwire(Shape("taskwire"), *SUBMITS, *ENDS, "memory"),
    _baseline(S1, "unary", *ENDS),
    _baseline(S0, "unary", "memory"),
    _baseline(BareEcho, "unary"),
    _baseline(RawDramatiq, "processed"),
    _taskwire(Shape("taskwire-64-slots", threads=64), "naps"),
)
FULL = (
    QUICK[0],
    _baseline(S1, "unary", "batch", *ENDS),
    _baseline(S0, "unary", "batch", "memory", "thumbnails"),
    _taskwire(
        Shape("taskwire-thumbnails", processes=CORES, threads=1, handlers="taskwire_examples"),
        "idle",
        "thumbnails",
        "thumbnails probed",
    ),
    *QUICK[3:],
    _baseline(Tuned, "unary", "batch"),
    _taskwire(Shape("taskwire-postgresql", postgresql=True), *SUBMITS),
    _taskwire(
        Shape("taskwire-postgresql-2", postgresql=True, gateways=2, processes=2), "unary", "batch"
    ),
    _taskwire(Shape("taskwire-quorum", queues=QueueType.QUORUM), *SUBMITS),
    _taskwire(Shape("taskwire-2-gateways", gateways=2), "unary"),
    _taskwire(Shape("taskwire-2-workers", processes=2), "batch"),
    with_rows(1_000),
    with_rows(1_000_000),
    _taskwire(Shape("taskwire-watches"), "watches", once=True),
)

"""What the clients do, and how much of it: a round takes one to four seconds on two cores."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of round; `tasks` by the subject's family."""

    name: str
    kind: str
    tasks: dict[str, int] = field(default_factory=dict)
    at_once: int = 1
    per_call: int = 1
    per_second: float = 0.0
    ideal_per_s: float = 0.0
    """What the slots could do if nothing but the tasks took time."""
    warm_up: int = 200
    """Tasks of its kind that come before all rounds of a visit, when it is the first of them."""
    probed: bool = False
    """Meanwhile another client measures how long a submission takes."""

    def size(self, family: str, scale: float) -> int:
        """How many tasks a round has: whole calls, and at least one for each client."""
        calls = round(self.tasks[family] * scale) // self.per_call
        return max(self.at_once, calls // self.at_once * self.at_once) * self.per_call


_ALL = (
    Workload(
        "unary",
        "unary",
        {"taskwire": 4_000, "S0": 1_500, "S1": 500, "tuned": 3_000, "bare echo": 12_000},
        at_once=32,
    ),
    Workload("stream", "stream", {"taskwire": 5_000}),
    Workload(
        "batch",
        "batch",
        {"taskwire": 8_000, "S0": 2_000, "S1": 800, "tuned": 4_000},
        at_once=4,
        per_call=100,
    ),
    Workload("call 1", "call", {"taskwire": 300, "S1": 150}),
    Workload("call 32", "call", {"taskwire": 2_000, "S1": 400}, at_once=32),
    Workload("push 1 at a time", "push", {"taskwire": 400, "S1": 200}),
    Workload("push 50/s", "push", {"taskwire": 200, "S1": 200}, per_second=50),
    Workload("naps", "naps", {"taskwire": 9_600}, at_once=4, per_call=100, ideal_per_s=6_400),
    Workload("thumbnails", "thumbnails", {"taskwire": 160, "S0": 160}, at_once=4, warm_up=8),
    Workload(
        "thumbnails probed", "thumbnails", {"taskwire": 160}, at_once=4, warm_up=8, probed=True
    ),
    Workload("idle", "idle", {"taskwire": 200}),
    Workload("watches", "watches", {"taskwire": 10_000}),
    Workload("memory", "memory"),
    Workload("processed", "processed", {"raw Dramatiq": 12_000}),
)
WORKLOADS = {workload.name: workload for workload in _ALL}

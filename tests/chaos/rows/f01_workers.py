"""F1 to F6: processes that die or stand still, and handlers that take theirs along."""

from __future__ import annotations

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.chaos.work import KINDS, Kind, limited

WORKER_POINTS = (
    "claim.received",
    "claim.begun",
    "write.executed",
    "claim.committed",
    "claim.acknowledged",
    "run.ended",
    "settle.begun",
    "settle.written",
    "feed.taken",
    "feed.sent",
)
"""Around the claim, the acknowledgement, the commit of the result, and the word to Redis."""

GATEWAY_POINTS = ("submit.checked", "submit.committed", "publish.sent", "publish.confirmed")
"""Before the commit, after it, after the publishing, and before the dispatch mark."""


@row(
    "F1",
    "A worker is killed in the middle of a task",
    needs_s=45,
    fast=True,
    shape=Shape(workers=2),
)
def worker_killed(chaos: Chaos) -> None:
    chaos.load.more(30)
    for whole_host in (True, False):
        task_id = chaos.submit("Work", 30, slow_once=True)
        first = chaos.journal.begun(task_id)
        name = chaos.cluster.owner(first.pid)
        if whole_host:
            chaos.kill(name)
            assert not chaos.cluster.alive(name)
        else:
            assert chaos.kill_child(name) == first.pid
        second = chaos.journal.begun(task_id, attempts=2)
        assert second.pid != first.pid
        assert chaos.ended(task_id).state == "SUCCEEDED"
        if whole_host:
            chaos.cluster.start(name)
        chaos.load.more(30)


@row(
    "F2",
    "A worker is killed between claim, acknowledgement, commit and Redis",
    needs_s=150,
    shape=Shape(workers=2),
)
def worker_killed_between(chaos: Chaos) -> None:
    chaos.load.more(20)
    chaos.dies_at("worker-2", *chaos.chance.sample(WORKER_POINTS, len(WORKER_POINTS)))
    chaos.load.more(20)


@row(
    "F3",
    "A gateway is killed before and after its commit, its publishing and its dispatch mark",
    needs_s=90,
    shape=Shape(gateways=2),
)
def gateway_killed_between(chaos: Chaos) -> None:
    chaos.load.more(20)
    chaos.dies_at("gateway-2", *chaos.chance.sample(GATEWAY_POINTS, len(GATEWAY_POINTS)))
    chaos.load.more(20)


@row(
    "F4",
    "A worker and a gateway stand still for longer than their lease, and go on",
    needs_s=90,
    shape=Shape(gateways=2, workers=2),
)
def stands_still(chaos: Chaos) -> None:
    chaos.load.more(20)
    task_id = chaos.submit("Work", 2, slow_once=True, deaf=True)
    first = chaos.journal.begun(task_id)
    with chaos.frozen(chaos.cluster.owner(first.pid)):
        # On SQLite it may hold the writers' turn: then nobody goes on before it does.
        if chaos.cluster.shape.store == "postgresql":
            chaos.journal.begun(task_id, attempts=2)
        else:
            chaos.stay(3 * chaos.cluster.shape.lease_ttl_s)
        assert not [e for e in chaos.journal.entries(task_id) if (e.attempt, e.what) == (1, "end")]
    assert chaos.ended(task_id).state == "SUCCEEDED"
    assert chaos.journal.begun(task_id, attempts=2).attempt == 2
    chaos.load.more(20)
    with chaos.frozen("gateway-2"):
        chaos.stay(3 * chaos.cluster.shape.lease_ttl_s)
    chaos.load.more(20)


@row(
    "F5",
    "A handler kills its process each time",
    needs_s=75,
    fast=True,
    shape=Shape(workers=2),
)
def handler_kills(chaos: Chaos) -> None:
    chaos.load.more(20)
    poisons = {}
    for kind in KINDS:
        chaos.recorder.begin_fault("poison", kind)
        poisons[kind] = chaos.submit(kind, crashes=True)
    for kind, task_id in poisons.items():
        assert chaos.ended(task_id, within=90).state == "FAILED"
        begins = [each for each in chaos.journal.entries(task_id) if each.what == "begin"]
        # Each time it was another process that died. Neighbours of another poison may have
        # taken it along, which does not count; by itself it may crash three times. One that may
        # begin once at most is lost with a neighbour although it had not begun.
        assert len({each.pid for each in begins}) == len(begins)
        assert len(begins) <= 1 if kind == "WorkOnce" else len(begins) >= 3
    chaos.load.more(20)


@row(
    "F6",
    "A handler never returns",
    needs_s=75,
    shape=Shape(workers=2),
)
def handler_never_returns(chaos: Chaos) -> None:
    chaos.load.more(20)
    attempts: dict[Kind, int] = {"Work": 2, "WorkApart": 2, "WorkOnce": 1}
    stuck = {}
    for kind, most in attempts.items():
        chaos.recorder.begin_fault("never returns", kind)
        stuck[kind] = chaos.submit(kind, never_returns=True, overrides=limited(4, most))
    for kind, task_id in stuck.items():
        assert chaos.ended(task_id, within=90).state == "FAILED"
        lines = [each.what for each in chaos.journal.entries(task_id)]
        # On a busy machine the time of an attempt may be over before its process has begun it.
        assert 0 < len(lines) <= attempts[kind], lines
        assert set(lines) == {"begin"}
    chaos.load.more(20)
    # Their threads are lost until the worker is restarted, which they must not hinder.
    for name in ("worker", "worker-2"):
        chaos.cluster.restart(name)
    chaos.load.more(20)

"""Who is alive: workers, gateways and the keeper's leader, each by a lease that it renews.

A lease that has expired is never revived: its process must come back under a new id.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement, insert_for
from taskwire_db.models import Id, Micros, gateways, is_state, leaders, tasks, workers

FOREVER_US = 2**62
"""The lease of a process that needs none: the embedded one, whose data folder is locked."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker process: what it runs, and for how long it is believed without a renewal."""

    id: bytes
    host: str
    pid: int
    slots: int
    types: tuple[str, ...]
    queues: tuple[str, ...]
    ttl_us: int | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker is alive, and holds `held` deliveries that it has not claimed."""

    worker_id: bytes
    held: int
    ttl_us: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """What a heartbeat is answered with: whether the lease is (still) alive, and which of its
    attempts (task id, attempt) somebody cancelled."""

    alive: bool
    cancelled: tuple[tuple[bytes, int], ...] = ()


def _expiry(tx: Transaction, ttl_us: int | None) -> int:
    return FOREVER_US if ttl_us is None else tx.lease_us + ttl_us


def register_worker(tx: Transaction, rows: Sequence[WorkerRow]) -> list[None]:
    """Each worker is alive from now on; one that is registered already keeps its lease.

    Whoever did not hear the answer registers again, under the same id.
    """
    for row in rows:
        insert = insert_for(tx.connection.dialect, workers).values(
            id=row.id,
            host=row.host,
            pid=row.pid,
            boot=tx.boot,
            lease_expires=_expiry(tx, row.ttl_us),
            start_time=tx.now_us,
            draining=0,
            slots=row.slots,
            held=0,
            types=json.dumps(row.types),
            queues=json.dumps(row.queues),
        )
        tx.connection.execute(insert.on_conflict_do_nothing())
    return [None] * len(rows)


_beat = GroupStatement(
    {"id": Id, "held": sa.Integer(), "expires": Micros, "draining": sa.SmallInteger()},
    lambda v: (
        sa.update(workers)
        .values(lease_expires=v.c.expires, held=v.c.held, draining=v.c.draining)
        .where(workers.c.id == v.c.id)
        .where(workers.c.boot == sa.bindparam("boot", type_=sa.Text()))
        .where(workers.c.lease_expires > sa.bindparam("lease_now", type_=Micros))
        .returning(workers.c.id)
    ),
)

_cancelled = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(tasks.c.worker_id, tasks.c.id, tasks.c.attempt)
        .where(tasks.c.worker_id.in_(sa.select(v.c.id)))
        # In the words of ix_tasks_held: SQLite does not see that the next line says as much, and
        # would read all tasks while it keeps every other writer waiting.
        .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
        .where(is_state(tasks.c.state, State.CANCELLING))
    ),
)


def heartbeat(tx: Transaction, beats: Sequence[Heartbeat]) -> list[Lease]:
    """Renew the leases that are alive."""
    renewed = {
        bytes(row[0])
        for row in _beat.run(
            tx.connection,
            [(b.worker_id, b.held, tx.lease_us + b.ttl_us, int(b.draining)) for b in beats],
            boot=tx.boot,
            lease_now=tx.lease_us,
        )
    }
    cancelled: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
    for worker_id, task_id, attempt in _cancelled.run(
        tx.connection, [(b.worker_id,) for b in beats]
    ):
        cancelled[bytes(worker_id)].append((bytes(task_id), attempt))
    return [
        Lease(alive=b.worker_id in renewed, cancelled=tuple(cancelled[b.worker_id])) for b in beats
    ]


def expire_worker(tx: Transaction, worker_ids: Sequence[bytes]) -> list[None]:
    """These workers are known to be dead: their leases end now."""
    tx.connection.execute(
        sa.update(workers).where(workers.c.id.in_(list(worker_ids))).values(lease_expires=0)
    )
    return [None] * len(worker_ids)


def delete_worker(tx: Transaction, worker_ids: Sequence[bytes]) -> list[None]:
    """These workers have ended cleanly."""
    tx.connection.execute(sa.delete(workers).where(workers.c.id.in_(list(worker_ids))))
    return [None] * len(worker_ids)


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One gateway process; `ttl_us` None is a lease without an end."""

    id: bytes
    host: str
    pid: int
    ttl_us: int | None


def register_gateway(tx: Transaction, rows: Sequence[GatewayRow]) -> list[None]:
    """Each gateway is alive from now on."""
    for row in rows:
        tx.connection.execute(
            sa.insert(gateways).values(
                id=row.id,
                host=row.host,
                pid=row.pid,
                boot=tx.boot,
                lease_expires=_expiry(tx, row.ttl_us),
                start_time=tx.now_us,
            )
        )
    return [None] * len(rows)


def renew_gateway(tx: Transaction, rows: Sequence[GatewayRow]) -> list[bool]:
    """Whether each lease was alive; one that was not must register under a new id."""
    renewed = []
    for row in rows:
        result = tx.connection.execute(
            sa.update(gateways)
            .values(lease_expires=_expiry(tx, row.ttl_us))
            .where(gateways.c.id == row.id, gateways.c.boot == tx.boot)
            .where(gateways.c.lease_expires > tx.lease_us)
        )
        renewed.append(result.rowcount == 1)
    return renewed


def delete_gateway(tx: Transaction, gateway_ids: Sequence[bytes]) -> list[None]:
    """These gateways are gone; release their rows first."""
    tx.connection.execute(sa.delete(gateways).where(gateways.c.id.in_(list(gateway_ids))))
    return [None] * len(gateway_ids)


@dataclass(frozen=True, slots=True)
class Leadership:
    """`holder` wants to be (or to stay) the leader called `name` for `ttl_us`."""

    name: str
    holder: bytes
    ttl_us: int


def lead(tx: Transaction, requests: Sequence[Leadership]) -> list[bool]:
    """Whether each holder leads now: nobody else does, or whoever did let the lease run out."""
    return [_lead(tx, request) for request in requests]


def _lead(tx: Transaction, request: Leadership) -> bool:
    insert = insert_for(tx.connection.dialect, leaders).values(
        name=request.name,
        holder=request.holder,
        boot=tx.boot,
        lease_expires=tx.lease_us + request.ttl_us,
    )
    free = (
        (leaders.c.holder == insert.excluded.holder)
        | (leaders.c.boot != insert.excluded.boot)
        | (leaders.c.lease_expires <= tx.lease_us)
    )
    statement = insert.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "holder": insert.excluded.holder,
            "boot": insert.excluded.boot,
            "lease_expires": insert.excluded.lease_expires,
        },
        where=free,
    ).returning(leaders.c.holder)
    return tx.connection.execute(statement).first() is not None

"""How a row is played: a cluster and a load, its faults, the end of everything, the check."""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.database import Database
from taskwire_db.models import tasks
from tests.chaos.checking import Recovery, Violation, check, recoveries
from tests.chaos.cluster import Cluster, Store
from tests.chaos.context import Chaos
from tests.chaos.dumps import dump, measure
from tests.chaos.history import History, read
from tests.chaos.load import Load, Plan
from tests.chaos.proxies import Proxies
from tests.chaos.recording import Recorder, RecordingClient
from tests.chaos.records import Fault
from tests.chaos.remains import TaskRow
from tests.chaos.rows.registry import Row
from tests.chaos.servers import Servers
from tests.chaos.work import type_of
from tests.support.eventually import eventually

_NO_LOAD = Plan(callers=0)


@dataclass(frozen=True, slots=True)
class Play:
    """One run of a row, and what came of it."""

    row: Row
    seed: int
    store: Store
    history: Path
    """Kept only when something is wrong, with the processes' logs beside it."""
    took_s: float
    faults: int = 0
    tasks: int = 0
    recoveries: Sequence[Recovery] = ()
    violations: Sequence[Violation] = ()
    problem: str = ""
    """Why it could not be played to its end, for people; "" when it could."""

    @property
    def good(self) -> bool:
        """Whether it was played to its end, and nothing was violated."""
        return not (self.problem or self.violations)

    @property
    def verdict(self) -> str:
        """What is wrong with it, a sentence a line."""
        return "\n".join([*([self.problem] if self.problem else []), *map(str, self.violations)])


def play(
    row: Row,
    seed: int,
    servers: Servers,
    proxies: Proxies,
    folder: Path,
    store: Store | None = None,
) -> Play:
    """Play a row once; what it does is decided by `seed`, and so is the store if none is named."""
    chance = random.Random(f"{seed} {row.number}")
    picked = chance.choice(row.stores)
    store = store or picked
    history = folder / f"{row.number}-{seed}-{store}.jsonl"
    history.unlink(missing_ok=True)
    begun = time.monotonic()
    own = Servers(servers, row.breaks)
    logs = history.with_suffix(".logs")
    try:
        with _cluster(row, store, own, proxies, history, logs) as cluster:
            _play(row, seed, chance, cluster)
        problem = ""
    except Exception:
        problem = traceback.format_exc()
    finally:
        own.close()
    played = Play(row, seed, store, history, time.monotonic() - begun, problem=problem)
    if not problem:
        played = _checked(played, read(history))
    if played.good:
        history.unlink()
        shutil.rmtree(logs)
    return played


def _play(row: Row, seed: int, chance: random.Random, cluster: Cluster) -> None:
    recorder = Recorder(
        cluster.history,
        seed=seed,
        lease_ttl_s=cluster.shape.lease_ttl_s,
        recovery_bound_s=row.recovery_bound_s,
        isolated_types=[type_of("WorkApart")],
        settings=cluster.shape.settings,
    )
    cluster.start_all()
    measure(recorder, cluster, "before")
    load = Load(cluster.addresses, recorder, seed, row.plan or _NO_LOAD)
    with under_load(cluster, recorder, load, chance, row.recovery_bound_s) as chaos:
        row.function(chaos)
    dump(recorder, cluster)
    recorder.close()


@contextmanager
def under_load(
    cluster: Cluster, recorder: Recorder, load: Load, chance: random.Random, bound_s: float
) -> Iterator[Chaos]:
    """A load for the length of the block; then everything is made whole, and comes to its end."""
    try:
        with RecordingClient(recorder, cluster.address()) as client:
            load.start()
            yield Chaos(cluster, load, recorder, load.journal, client, chance)
            load.end()
        cluster.make_whole()
        # If not, then the check says which tasks, and that is why watches have not ended either.
        if all_ended(cluster.database_url, bound_s):
            load.aside.all_ended(within=90)
            # A call that was cut may have been committed late, as a task that nobody waited for.
            all_ended(cluster.database_url, bound_s)
    finally:
        load.close()


@contextmanager
def _cluster(
    row: Row, store: Store, servers: Servers, proxies: Proxies, history: Path, logs: Path
) -> Iterator[Cluster]:
    cluster = Cluster(replace(row.shape, store=store), servers, proxies, history)
    try:
        yield cluster
    finally:
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        for name in cluster.processes:
            shutil.copy(cluster.log_file(name), logs)
        cluster.close()


def all_ended(database_url: str, within: float) -> bool:
    """Wait until no task is live any more; whether it came to that in time."""
    live = sa.select(tasks.c.id).where(tasks.c.state < int(State.SUCCEEDED)).limit(1)
    with closing(Database(database_url, writable=False)) as database:

        def none_live() -> bool:
            with database.snapshot() as connection:
                return not connection.execute(live).all()

        try:
            return eventually(none_live, within=within)
        except AssertionError:
            return False


def _checked(played: Play, history: History) -> Play:
    found = [*check(history)]
    for invariant in played.row.invariants:
        found += invariant(history)
    return replace(
        played,
        faults=sum(isinstance(each, Fault) for each in history.records),
        tasks=sum(isinstance(each, TaskRow) for each in history.records),
        recoveries=recoveries(history) if played.row.true_clocks else (),
        violations=found,
    )

"""A load that goes on whatever happens to the services, and knows what was promised to it."""

from __future__ import annotations

import threading
import uuid

import sqlalchemy as sa

from taskwire.client import Client, Unreachable
from taskwire_core.ids import from_text
from taskwire_core.lifecycle import State
from taskwire_db.database import Database
from taskwire_db.models import tasks
from tests.e2e.work import submit
from tests.store.invariants import check_invariants
from tests.support.eventually import eventually
from tests.support.stack import Stack


class Load:
    """Threads that submit through `addresses` in turn; each goes on where it is let in."""

    def __init__(self, addresses: list[str], *, threads: int = 4) -> None:
        self._addresses = addresses
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: dict[str, bytes] = {}
        """What was answered: the task of each request id."""
        self.refusals: list[Unreachable] = []
        self.problems: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=[number], daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def reaches(self, count: int, *, within: float = 60) -> None:
        """Wait until so many submissions were acknowledged."""
        eventually(
            lambda: len(self.acknowledged) >= count or self.problems,
            within=within,
            what=f"{count} are acknowledged",
        )
        assert not self.problems, self.problems

    def end(self) -> None:
        """Submit no more, once what is under way was answered."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.problems, self.problems

    def _run(self, number: int) -> None:
        clients = [Client(address, timeout_s=5) for address in self._addresses]
        turn = number
        try:
            while not self._ended.is_set():
                turn = self._submit(clients, turn)
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            for client in clients:
                client.close()

    def _submit(self, clients: list[Client], turn: int) -> int:
        """One submission, repeated under its request id until somebody acknowledges it."""
        request_id = str(uuid.uuid4())
        while True:
            try:
                made = submit(clients[turn % len(clients)], "load", 0.01, request_id=request_id)
            except Unreachable as refusal:
                self.refusals.append(refusal)
                turn += 1
                if self._ended.wait(0.05):
                    return turn
            else:
                with self._lock:
                    self.acknowledged[request_id] = from_text(made)
                return turn


def check_nothing_lost(services: Stack, load: Load, *, within: float) -> None:
    """Every acknowledged task has SUCCEEDED, once, and the database is whole."""
    assert len(set(load.acknowledged.values())) == len(load.acknowledged)
    database = Database(services.settings["database_url"], writable=False)
    live = sa.select(
        tasks.c.id, tasks.c.state, tasks.c.version, tasks.c.attempt, tasks.c.dispatched_at
    ).where(tasks.c.state < int(State.SUCCEEDED))

    def all_ended() -> bool:
        with database.snapshot() as connection:
            rows = connection.execute(live.limit(3)).all()
        assert not rows, f"these have not ended: {rows}; {services.logs()}"
        return True

    try:
        eventually(all_ended, within=within, what="all tasks have ended")
        found = check_invariants(database, load.acknowledged.values())
    finally:
        database.close()
    assert {State(row.state) for row in found.values()} == {State.SUCCEEDED}

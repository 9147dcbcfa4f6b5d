"""Settlements are not lost: not while the store is away, and not when the process must end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_core import recovery
from taskwire_core.errors import StoreUnavailable
from taskwire_core.failure import worker_lost
from taskwire_core.recovery import Settlement
from taskwire_core.task import Payload
from taskwire_worker.settler import Settler
from taskwire_worker.spool import Spool
from tests.support.eventually import eventually
from tests.support.failpoints import armed
from tests.unit.worker import fakes


def settlement() -> Settlement:
    task = fakes.claimed(fakes.queued_task("a.B/C", DivideRequest()))
    return recovery.succeeded(task, Payload("a.D", b"\x00\xff"))


def failure() -> Settlement:
    task = fakes.claimed(fakes.queued_task("a.B/C", DivideRequest()))
    return recovery.failed(task, worker_lost(), now_us=task.update_time_us)


@pytest.fixture
def ledger() -> fakes.FakeLedger:
    return fakes.FakeLedger()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def settler(ledger: fakes.FakeLedger, spool: Spool) -> Settler:
    return Settler(ledger, spool, name="me")


def replayed(spool: Spool) -> list[Settlement]:
    found: list[Settlement] = []
    spool.replay(found.extend)
    return found


def test_a_settlement_reaches_the_store(settler: Settler, ledger: fakes.FakeLedger) -> None:
    given = settlement()

    settler.settle(given)

    assert ledger.settled == [given]
    assert settler.unwritten == 0


def test_losers_are_counted_and_dropped(settler: Settler) -> None:
    settler.settle(settlement())

    assert settler.fenced_out == 1


def test_settlements_wait_while_the_store_is_away(
    settler: Settler, ledger: fakes.FakeLedger
) -> None:
    ledger.store.away = True
    given = [settlement() for _ in range(3)]
    for each in given:
        settler.settle(each)
    assert settler.unwritten == 3

    ledger.store.away = False

    assert ledger.settlements(3) == given
    eventually(lambda: settler.unwritten == 0)


def test_closing_waits_for_the_store_to_come_back(
    settler: Settler, ledger: fakes.FakeLedger, spool: Spool
) -> None:
    ledger.store.away = True
    settler.settle(settlement())
    ledger.store.away = False

    settler.close(timeout=10)

    assert replayed(spool) == []


def test_what_cannot_be_written_is_spooled_and_replayed(
    settler: Settler, ledger: fakes.FakeLedger, spool: Spool
) -> None:
    ledger.store.away = True
    given = [settlement(), failure()]
    for each in given:
        settler.settle(each)

    settler.close(timeout=0.01)

    assert replayed(spool) == given
    assert replayed(spool) == []


def test_a_spool_is_on_the_disk_before_it_has_its_name(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    spool.write("me", [settlement()])

    # And its name is on the disk when it is said to be kept.
    assert synced == ["me.tmp", "spool"]


def test_a_replay_that_fails_keeps_the_spool(spool: Spool) -> None:
    given = settlement()
    spool.write("me", [given])

    def refuse(_settlements: Sequence[Settlement]) -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        spool.replay(refuse)

    assert replayed(spool) == [given]


def test_a_spool_that_cannot_be_read_is_put_aside(spool: Spool, tmp_path: Path) -> None:
    spool.write("good", [settlement()])
    (tmp_path / "spool" / "bad.settlements").write_bytes(b"\xc1 rubbish")

    assert len(replayed(spool)) == 1
    assert (tmp_path / "spool" / "bad.unreadable").exists()


def test_a_spool_that_was_never_written_is_empty(spool: Spool) -> None:
    assert replayed(spool) == []


def test_a_full_disk_at_the_end_does_not_keep_the_process(
    ledger: fakes.FakeLedger, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    settler = Settler(ledger, Spool(tmp_path / "file"), name="me")
    ledger.store.away = True
    settler.settle(settlement())

    settler.close(timeout=0.01)

    assert settler.unwritten == 1


def test_a_defect_that_passes_costs_no_settlement(
    settler: Settler, ledger: fakes.FakeLedger
) -> None:
    given = settlement()

    with armed("settle.begun:error"):
        settler.settle(given)

    assert ledger.settlements(1) == [given]
    eventually(lambda: settler.unwritten == 0)


def test_a_defect_does_not_go_round_for_ever(settler: Settler, ledger: fakes.FakeLedger) -> None:
    ledger.defect = TypeError("no such column")

    settler.settle(settlement())

    eventually(lambda: settler.unwritten == 0, what="the settlement is given up")

"""F36: the database is upgraded while callers go on, and the upgrade dies in the middle."""

from __future__ import annotations

import signal
import subprocess

from taskwire_db import revision, schema
from taskwire_db.database import Database
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.support.embedded import environment, run_command
from tests.support.eventually import eventually

BEFORE = f"{int(revision.NEEDED) - 1:04}"
"""The revision before the newest one."""


@row(
    "F36",
    "The database is upgraded under load as is published, and by an upgrade that is killed",
    needs_s=75,
    stores=["sqlite"],
)
def upgraded(chaos: Chaos) -> None:
    chaos.load.more(20)
    waiting = chaos.submit("Work", 0.1)
    for name in ("worker", "gateway"):
        chaos.recorder.begin_fault("stopped", name)
        chaos.cluster.send("TERM", name)
        assert chaos.cluster.wait_until_ended(name) == 0
    with chaos.fault("upgrade", "database"):
        assert _db(chaos, "downgrade", BEFORE, "--yes").returncode == 0
        _starts_on_no_other_revision(chaos)
        for point, left in (("migrate.step", BEFORE), ("migrate.committed", schema.head())):
            killed = _db(chaos, "upgrade", failpoints=f"{point}:kill")
            assert killed.returncode == -signal.SIGKILL, killed
            assert _revision(chaos) == left
        assert _db(chaos, "upgrade").returncode == 0
        chaos.cluster.start("gateway")
        chaos.cluster.start("worker")
    assert chaos.ended(waiting).state == "SUCCEEDED"
    chaos.load.more(20)
    _without_stopping_anybody(chaos)


def _starts_on_no_other_revision(chaos: Chaos) -> None:
    for name in ("gateway", "worker"):
        chaos.cluster.start(name, wait=False)
        assert chaos.cluster.wait_until_ended(name) == 2
        assert "taskwire db upgrade" in chaos.cluster.log(name)[-2000:]


def _without_stopping_anybody(chaos: Chaos) -> None:
    """Nobody should, and this migration is one that those who run do not notice.

    One that cannot have its lock says so instead of holding up everybody, and changes nothing.
    """
    for arguments, reached in (
        (("downgrade", BEFORE, "--yes"), BEFORE),
        (("upgrade",), schema.head()),
    ):
        with chaos.fault(arguments[0], "database"):
            eventually(lambda: _db(chaos, *arguments).returncode == 0, within=60)  # noqa: B023  # called at once
            assert _revision(chaos) == reached
            chaos.load.more(20)


def _revision(chaos: Chaos) -> str | None:
    database = Database(chaos.cluster.database_url, writable=False)
    try:
        return revision.current(database)
    finally:
        database.close()


def _db(chaos: Chaos, *arguments: str, failpoints: str = "") -> subprocess.CompletedProcess[str]:
    env = environment(database_url=chaos.cluster.database_url, failpoints=failpoints)
    return run_command("db", *arguments, env=env)

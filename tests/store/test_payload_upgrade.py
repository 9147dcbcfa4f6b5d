"""The upgrade that copies all payloads on SQLite (revision 0011): what it needs and leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from taskwire_db import schema
from taskwire_db.database import Database
from tests.store.steps import new_task, submit
from tests.support.stores import Stores

PAYLOADS = 64
PAYLOAD_BYTES = 1024 * 1024
UPGRADE = """
import re, sys
from taskwire_db import schema
from taskwire_db.database import Database
schema.upgrade(Database(sys.argv[1]))
with open("/proc/self/status") as status:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
"""
"""What the kernel says of a process that has ended counts the memory of the one that it is of."""


@pytest.fixture
def stores(sqlite_stores: Stores) -> Stores:
    return sqlite_stores


@pytest.fixture
def former(stores: Stores) -> Iterator[Database]:
    """A database of the revision before."""
    with stores.empty() as url:
        database = Database(url)
        schema.upgrade(database, "0010")
        yield database
        database.close()


def test_somebodys_own_view_of_a_payload_outlives_an_upgrade(former: Database) -> None:
    with former.connect() as connection:
        connection.execute(sa.text("CREATE VIEW inputs AS SELECT type_name FROM task_inputs"))
        connection.commit()
    schema.upgrade(former)
    submit(former, new_task())
    with former.connect() as connection:
        found = connection.execute(sa.text("SELECT type_name FROM inputs")).scalars().all()
        connection.execute(sa.text("DROP VIEW inputs"))
        connection.commit()
    assert found == ["acme.v1.ShrinkRequest"]


def test_it_keeps_no_copy_of_the_payloads_in_memory(former: Database) -> None:
    with former.connect() as connection:
        for number in range(PAYLOADS):
            row = (number.to_bytes(16), "acme.v1.ShrinkRequest", os.urandom(PAYLOAD_BYTES))
            connection.exec_driver_sql("INSERT INTO task_inputs VALUES (?, ?, ?)", row)
        connection.commit()
    with_payloads = upgraded_in(former)
    without_any = upgraded_in(former)
    assert with_payloads - without_any < PAYLOADS * PAYLOAD_BYTES / 2


def upgraded_in(database: Database) -> int:
    """The largest number of bytes of memory that a process which upgrades it had."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", UPGRADE, url]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return int(done.stdout) * 1024

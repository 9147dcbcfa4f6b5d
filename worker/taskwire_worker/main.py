"""Wires `taskwire worker`: the supervisor of a host. What its processes work with is in hands.py.

The two files are the ones of this room that know which database, broker and feed there are.
"""

from __future__ import annotations

from collections.abc import Callable

from taskwire_admin.admin import Admin
from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.settings import Settings, require_services
from taskwire_db import revision
from taskwire_db.database import Database
from taskwire_db.engines import engine_for
from taskwire_db.feed.redis_announcer import RedisAnnouncer
from taskwire_db.url import parse_url
from taskwire_db.writer import Writer
from taskwire_worker import child
from taskwire_worker.firstborn import Firstborn
from taskwire_worker.spawn import Child, spawn
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreWorkerBook
from taskwire_worker.supervisor import Supervisor


def run(settings: Settings) -> int:
    """Runs the worker processes of this host until a signal; the process's exit code.

    Raises:
        ConfigurationError: It cannot start as it is configured, or the store does not answer.
    """
    require_services(settings)
    if not settings.handlers:
        raise ConfigurationError(
            "TASKWIRE_HANDLERS must name the modules with your @task functions"
        )
    # Loads the driver of the database, so that this is shared too, and connects to nothing.
    engine_for(parse_url(settings.database_url), writable=True)
    # Before anything has a thread or a connection.
    firstborn = Firstborn(settings.worker_processes, child.run_child)
    admin = Admin("worker")
    try:
        with admin.open(settings.admin_listen):
            return _supervise(settings, admin, lambda: firstborn.next() or spawn(child.__name__))
    finally:
        firstborn.close()


def _supervise(settings: Settings, admin: Admin, start: Callable[[], Child]) -> int:
    spool = _spool(settings)
    database = Database(settings.database_url)
    try:
        revision.check(database)
        announcer = RedisAnnouncer(settings.redis_url, database.deployment_id)
        writer = Writer(database, announce=announcer.announce)
        ttl_us = round(settings.lease_ttl.total_seconds() * 1_000_000)
        book = StoreWorkerBook(writer, spool, ttl_us=ttl_us)
        book.replay()
    except StoreUnavailable as error:
        raise ConfigurationError(
            f"the database of TASKWIRE_DATABASE_URL does not answer: {error}; {error.advice}"
        ) from error
    try:
        return Supervisor(settings, book, admin, start=start).run()
    finally:
        writer.close()
        announcer.close(2.0)
        database.close()


def _spool(settings: Settings) -> Spool:
    spool = Spool(settings.data_dir / "spool")
    try:
        spool.prepare()
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {settings.data_dir} cannot be used: {error.strerror};"
            " set TASKWIRE_DATA_DIR"
        ) from error
    return spool

"""S1, the worker: like S0's, and it marks the row of its task as done.

SQLite is in WAL mode with synchronous=FULL: what was answered is on disk, as it is with taskwire.
Started with `celery -A bench.baseline.s1_tasks worker`.
"""

from __future__ import annotations

import os
import sqlite3
import time

from celery import Celery
from celery.signals import worker_process_init
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine(
    f"sqlite:///{os.environ['BASELINE_DATABASE']}",
    connect_args={"timeout": 30, "check_same_thread": False},
    pool_size=40,
)
Session = sessionmaker(engine)


@event.listens_for(engine, "connect")
def _durable(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


class Base(DeclarativeBase):
    pass


class Job(Base):
    """One task, as the program's own database knows it."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    status: Mapped[str]
    created: Mapped[float]
    finished: Mapped[float | None]


celery = Celery(
    "s1",
    broker=os.environ["BASELINE_RABBITMQ_URL"],
    backend=os.environ["BASELINE_REDIS_URL"],
)
celery.conf.broker_transport_options = {"confirm_publish": True}
celery.conf.broker_connection_retry_on_startup = True
celery.conf.task_default_queue = os.environ["BASELINE_QUEUE"]


@worker_process_init.connect
def _forget_the_parents_connections(**_: object) -> None:
    engine.dispose(close=False)


@celery.task(name="echo")
def echo(job_id: str, text: str) -> str:
    with Session.begin() as session:
        job = session.get(Job, job_id)
        assert job is not None, f"no row for {job_id}"
        job.status = "done"
        job.finished = time.time()
    return text

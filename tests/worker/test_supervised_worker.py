"""Worker processes under their supervisor, over RabbitMQ, Redis and SQLite: what kills do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
from google.protobuf.message import Message

from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_broker.envelope import encode
from taskwire_broker.topology import broker_queue, dead_letter_queue, queue_arguments
from taskwire_core.failure import FailureKind
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch
from tests.support.eventually import eventually
from tests.support.processes import alive, gone, kill_group, spawn
from tests.support.servers import RabbitServer, RedisServer
from tests.worker import handlers
from tests.worker.conftest import EXAMPLES
from tests.worker.handlers import journal as read_journal
from tests.worker.town import Town

pytestmark = pytest.mark.servers

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"

Start = Callable[..., subprocess.Popen[bytes]]


class Post:
    """Publishes to RabbitMQ, one connection a message: tests send few."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.deployment_id = b""

    def publish(self, dispatch: Dispatch) -> None:
        name = broker_queue(dispatch.queue, self.deployment_id)
        connection = pika.BlockingConnection(pika.URLParameters(self._url))
        channel = connection.channel()
        channel.queue_declare(
            dead_letter_queue(name), durable=True, arguments={"x-message-ttl": 604800000}
        )
        channel.queue_declare(name, durable=True, arguments=queue_arguments(name))
        channel.basic_publish("", name, encode(dispatch, self.deployment_id))
        connection.close()


@pytest.fixture
def town(tmp_path: Path, rabbit: RabbitServer, journal: Path) -> Iterator[Town]:
    post = Post(rabbit.url)
    made = Town(tmp_path, post.publish)
    post.deployment_id = made.database.deployment_id
    yield made
    made.close()


@pytest.fixture
def start(
    town: Town, rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(**settings: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TASKWIRE_DATABASE_URL": town.url,
            "TASKWIRE_RABBITMQ_URL": rabbit.url,
            "TASKWIRE_REDIS_URL": redis_server.url,
            "TASKWIRE_DATA_DIR": str(tmp_path / "data"),
            "TASKWIRE_CONTRACTS": str(EXAMPLES),
            "TASKWIRE_HANDLERS": handlers.__name__,
            "TASKWIRE_WORKER_THREADS": "2",
            "TASKWIRE_LEASE_TTL": "20s",
            "TASKWIRE_CANCEL_GRACE": "300ms",
            "TASKWIRE_DRAIN_GRACE": "500ms",
            **{f"TASKWIRE_{name.upper()}": value for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "tests.worker.serve"]
        started.append(spawn(command, env=environment, log=tmp_path / "worker.log"))
        return started[-1]

    yield start_one
    for process in started:
        if alive(process):
            kill_group(process)
    print((tmp_path / "worker.log").read_text()[-5000:])


def submit(town: Town, seconds: float = 0) -> bytes:
    return town.submit(DIVIDE, DivideRequest(dividend=seconds), queue="math")


def running(town: Town, task_id: bytes, journal: Path) -> int:
    """The process that the task runs in, once its handler has begun."""
    town.in_state(task_id, State.RUNNING, within=30)
    return eventually(lambda: read_journal(journal), what="the handler has begun")[-1][2]


def live(town: Town) -> list[bytes]:
    return [worker.id for worker in town.reader.live_workers()]


def test_tasks_run_in_several_processes(town: Town, start: Start, journal: Path) -> None:
    start(worker_processes="2")
    eventually(lambda: len(live(town)) == 2, what="two workers are alive")
    ids = [submit(town, 0.2) for _ in range(12)]

    for task_id in ids:
        assert town.ended(task_id).state is State.SUCCEEDED

    assert len({pid for _, _, pid in read_journal(journal)}) == 2


def test_a_killed_process_costs_one_attempt_and_a_second(
    town: Town, start: Start, journal: Path
) -> None:
    start()
    task_id = submit(town, 3)
    pid = running(town, task_id, journal)

    os.kill(pid, signal.SIGKILL)

    task = town.ended(task_id, within=30)
    assert (task.state, task.attempt) == (State.SUCCEEDED, 2)
    assert task.attempts[0].failure is not None
    assert task.attempts[0].failure.kind is FailureKind.WORKER_LOST
    # Nobody knows whose fault it was: the second attempt ran alone.
    assert len({p for _, _, p in read_journal(journal)}) == 2


def test_a_handler_that_kills_its_process_is_poison(
    town: Town, start: Start, journal: Path
) -> None:
    start()
    task = town.ended(submit(town, -1), within=30)

    assert task.failure is not None
    assert (task.state, task.failure.kind) == (State.FAILED, FailureKind.POISON)
    # Once with neighbours, who may have been the culprits, and three times alone.
    assert task.attempt == 4


def test_a_handler_that_ends_its_process_in_order_is_poison_too(
    town: Town, start: Start, journal: Path
) -> None:
    start()
    request = DivideRequest(dividend=-1, divisor=handlers.EXIT_0)
    task = town.ended(town.submit(DIVIDE, request, queue="math"), within=30)

    assert task.failure is not None
    assert (task.state, task.failure.kind) == (State.FAILED, FailureKind.POISON)
    assert (task.attempt, task.handed_back) == (4, 0)


def test_the_children_of_a_killed_supervisor_die_with_it(
    town: Town, start: Start, journal: Path
) -> None:
    # A short lease, so that the lost worker is missed soon.
    supervisor = start(lease_ttl="5s")
    request: Message = MakeThumbnailRequest(image=b"x", max_width=3)
    task_id = town.submit(THUMBNAIL, request, queue="images")
    isolated = running(town, task_id, journal)

    supervisor.kill()
    supervisor.wait()
    eventually(lambda: gone(isolated), what="the isolation child is gone")
    start()

    task = town.ended(task_id, within=30)
    assert (task.state, task.attempt) == (State.SUCCEEDED, 2)


def test_sigterm_hands_back_what_does_not_finish(town: Town, start: Start, journal: Path) -> None:
    supervisor = start()
    task_id = submit(town, 60)
    running(town, task_id, journal)

    supervisor.terminate()

    assert supervisor.wait(20) == 0
    task = town.task(task_id)
    assert (task.state, task.handed_back) == (State.QUEUED, 1)
    assert live(town) == []


def test_sigterm_lets_short_tasks_finish(town: Town, start: Start, journal: Path) -> None:
    supervisor = start(drain_grace="20s")
    task_id = submit(town, 1)
    running(town, task_id, journal)

    supervisor.terminate()

    assert supervisor.wait(20) == 0
    assert town.task(task_id).state is State.SUCCEEDED


def test_a_second_sigterm_means_now(town: Town, start: Start, journal: Path) -> None:
    supervisor = start(drain_grace="10m")
    task_id = submit(town, 60)
    running(town, task_id, journal)

    supervisor.terminate()
    eventually(
        lambda: [worker.draining for worker in town.reader.live_workers()] == [True],
        what="everybody knows of the drain",
    )
    supervisor.terminate()

    assert supervisor.wait(10) == 0
    assert town.task(task_id).state is State.QUEUED


def test_a_cancel_arrives_with_the_lease_when_redis_says_nothing(
    town: Town, start: Start, journal: Path
) -> None:
    start(lease_ttl="2s")
    task_id = submit(town, 60)
    running(town, task_id, journal)

    town.cancel(task_id)

    assert town.ended(task_id).state is State.CANCELLED


def test_a_cancel_arrives_with_the_lease_while_the_worker_drains(
    town: Town, start: Start, journal: Path
) -> None:
    supervisor = start(drain_grace="10m")
    task_id = submit(town, 60)
    running(town, task_id, journal)
    supervisor.terminate()
    eventually(
        lambda: [worker.draining for worker in town.reader.live_workers()] == [True],
        what="everybody knows of the drain",
    )

    town.cancel(task_id)

    assert town.ended(task_id).state is State.CANCELLED
    assert supervisor.wait(20) == 0


def test_a_worker_without_renewals_stops_and_comes_back_under_a_new_id(
    town: Town, start: Start, journal: Path
) -> None:
    supervisor = start(lease_ttl="2s")
    eventually(lambda: live(town), within=30, what="the worker is alive")
    (before,) = live(town)
    task_id = submit(town, 60)
    pid = running(town, task_id, journal)

    os.kill(supervisor.pid, signal.SIGSTOP)
    eventually(lambda: live(town) == [], what="the lease has ended")
    eventually(
        lambda: town.task(task_id).attempt == 1 and town.task(task_id).state is not State.RUNNING,
        what="the attempt is lost",
    )
    os.kill(supervisor.pid, signal.SIGCONT)

    eventually(lambda: gone(pid), what="the old process is gone")
    eventually(lambda: len(live(town)) == 1, what="a new worker is alive")
    assert live(town) != [before]
    town.cancel(task_id)
    assert town.ended(task_id).state is State.CANCELLED


def test_a_handler_that_cannot_be_loaded_is_one_line_and_exit_code_2(
    start: Start, journal: Path
) -> None:
    supervisor = start(handlers="no.such.module")

    assert supervisor.wait(20) == 2
    last = _log(journal).strip().splitlines()[-1]
    assert last.startswith("taskwire worker: TASKWIRE_HANDLERS: cannot import no.such.module")


def _log(journal: Path) -> str:
    return (journal.parent / "worker.log").read_text()

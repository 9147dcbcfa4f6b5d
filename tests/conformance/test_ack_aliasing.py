"""Acknowledgements that hit another message: Dramatiq's own consumer loses a task, ours does not.

Both halves take the same steps: two threads, four tasks, the server closes the connections while
two of them run, one of these ends, and the worker is killed. See docs/ack-aliasing.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from taskwire.v1 import task_pb2
from tests.conformance import stock_worker
from tests.conformance.gates import Gates
from tests.e2e.work import submit
from tests.support.eventually import eventually
from tests.support.fixtures import running
from tests.support.processes import kill_group, spawn
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import TESTS, Stack

pytestmark = pytest.mark.servers

FIXED = (
    "Dramatiq lost nothing: it has mended what docs/ack-aliasing.md is about. That page, this"
    " test and the sentences that lead to them can go."
)


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    """A RabbitMQ whose connections nobody else has."""
    yield from running(RabbitServer)


class Stock:
    """A process of Dramatiq's own worker, and what its queue holds."""

    def __init__(self, server: RabbitServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._command = [sys.executable, "-m", stock_worker.__name__, server.url, str(folder)]
        # How long it waits before it reconnects, in milliseconds: no part of the matter.
        environment = {**os.environ, "dramatiq_restart_delay": "100"}
        self._environment = {**environment, "PYTHONPATH": str(TESTS.parent)}
        self._process: subprocess.Popen[bytes] | None = None

    def enqueue(self, *names: str) -> None:
        subprocess.run([*self._command, *names], env=self._environment, check=True, timeout=30)

    def start(self) -> None:
        log = self._folder / "stock.log"
        self._process = spawn(self._command, env=self._environment, log=log)

    def kill(self) -> None:
        if self._process is not None:
            kill_group(self._process)

    @property
    def waiting(self) -> int:
        """How many messages are in its memory and run in no thread."""
        written = self._folder / "waiting.txt"
        assert written.exists(), "it has not started yet"
        return int(written.read_text())

    @property
    def ready(self) -> int:
        """How many messages its queue would give to the next consumer."""
        connection = pika.BlockingConnection(pika.URLParameters(self._server.url))
        try:
            declared = connection.channel().queue_declare(stock_worker.QUEUE, passive=True)
            count: int = declared.method.message_count
            return count
        finally:
            connection.close()

    def left(self) -> int:
        """How many messages the server has, with what was delivered and not acknowledged."""
        listed = self._server.ctl("list_queues", "--no-table-headers", "name", "messages")
        counts = dict(line.split("\t") for line in listed.splitlines())
        return int(counts[stock_worker.QUEUE])


@pytest.fixture
def stock(server: RabbitServer, tmp_path: Path) -> Iterator[Stock]:
    made = Stock(server, tmp_path)
    yield made
    made.kill()


def test_dramatiqs_own_consumer_loses_a_task_and_repeats_a_finished_one(
    stock: Stock, server: RabbitServer, tmp_path: Path
) -> None:
    gates = Gates(tmp_path)
    stock.enqueue("a", "b", "c", "d")
    stock.start()
    eventually(lambda: gates.begun("a") and gates.begun("b"))
    gates.open("a")
    eventually(lambda: gates.begun("c") and stock.waiting == 1)
    # b has tag 2 on this channel. The next one gives b, c and d again, as its tags 1, 2 and 3.
    server.close_all_connections()
    eventually(lambda: stock.waiting == 4)
    gates.open("b")
    eventually(lambda: gates.ended("b") and gates.begun("d"))
    eventually(lambda: stock.left() == 2, what=FIXED)
    stock.kill()
    eventually(lambda: stock.ready == 2, what="what was not acknowledged is given back")

    gates.open("c", "d")
    stock.start()
    eventually(lambda: gates.ended("d") and not stock.left())

    assert (gates.begun("c"), gates.ended("c")) == (1, 0), FIXED
    assert gates.ended("b") == 2, FIXED


def test_taskwire_loses_none_and_repeats_only_what_ran(
    server: RabbitServer, redis_server: RedisServer
) -> None:
    # A short lease, so that the test does not take long to learn that the worker is lost.
    services = Stack(
        rabbitmq_url=server.url,
        redis_url=redis_server.url,
        handlers="tests.conformance.gated_handlers",
        worker_threads="2",
        lease_ttl="6s",
    )
    gates = Gates(services.folder)
    try:
        services.start_gateway()
        services.start_worker()
        with services.client() as client:
            eventually(lambda: any(each.live_workers for each in client.types()), within=60)
            ids = [submit(client, name) for name in "abcd"]
            eventually(lambda: gates.begun("a") and gates.begun("b"), within=30)
            gates.open("a")
            eventually(lambda: gates.begun("c"))
            server.close_all_connections()
            gates.open("b")
            eventually(lambda: gates.ended("b") and gates.begun("d"), within=20)
            services.kill("worker")

            gates.open("c", "d")
            services.start_worker("heir")
            ended = [client.wait(task_id, 30) for task_id in ids]
    finally:
        services.close()

    assert {task.state for task in ended} == {task_pb2.TASK_STATE_SUCCEEDED}
    assert [task.attempt for task in ended] == [1, 1, 2, 2]

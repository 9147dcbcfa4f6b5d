"""How long each loss delays a task, at the default settings: the table of the README.

Each measure has a stack of its own, over servers that it may kill. `tests/chaos/test_recovery.py`
holds every measure to its bound; by hand, with the README's table written anew:

    make recovery ROUNDS=5
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from taskwire.client import Unreachable
from taskwire.v1 import task_pb2
from tests.e2e.work import submit, submit_slow_once
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- recovery:begin -->", "<!-- recovery:end -->"


@dataclass(frozen=True, slots=True)
class Servers:
    """What a measure may kill, and has to start again."""

    rabbit: RabbitServer
    redis: RedisServer

    @contextmanager
    def stack(self) -> Iterator[Stack]:
        """A gateway and a worker at the default settings, with the worker alive."""
        with stack(rabbitmq_url=self.rabbit.url, redis_url=self.redis.url) as services:
            with services.client() as client:
                client.wait(submit(client, "warm-up"), 30)
            yield services


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss: what it is, what is timed, the promised bound, and how it is measured."""

    name: str
    what: str
    timed: str
    bound_s: float
    measure: Callable[[Servers], float]


def begun_again(services: Stack, key: str, since: float) -> float:
    """Seconds from `since` until the handler began for a second time."""
    eventually(
        lambda: sum(e.what == "begin" for e in services.entries(key)) == 2,
        within=90,
        what=f"{key} begins again; {services.logs()}",
    )
    return time.monotonic() - since


def lost_process(servers: Servers) -> float:
    with servers.stack() as services, services.client() as client:
        task_id = submit_slow_once(client, "lost")
        begun = services.wait_for("begin", "lost")
        since = time.monotonic()
        os.kill(begun.pid, signal.SIGKILL)
        took = begun_again(services, "lost", since)
        assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    return took


def lost_host(servers: Servers) -> float:
    with servers.stack() as services, services.client() as client:
        task_id = submit_slow_once(client, "lost")
        services.wait_for("begin", "lost")
        services.start_worker("another-host")
        since = time.monotonic()
        services.kill("worker")
        took = begun_again(services, "lost", since)
        assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    return took


def rabbitmq_restarted(servers: Servers) -> float:
    with servers.stack() as services, services.client() as client:
        servers.rabbit.kill()
        waiting = [submit(client, f"waiting{number}") for number in range(10)]
        servers.rabbit.start()
        since = time.monotonic()
        for task_id in waiting:
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    return time.monotonic() - since


def redis_lost(servers: Servers) -> float:
    """From the handler's end until the watch says so; Redis is dead all the while."""
    with servers.stack() as services, services.client() as client:
        servers.redis.kill()
        try:
            watch = client.watch(submit(client, "watched", 1))
            *_, last = (e.task for e in watch if e.WhichOneof("kind") == "task")
            seen = time.time()
        finally:
            servers.redis.start()
    assert last.state == task_pb2.TASK_STATE_SUCCEEDED
    return seen - last.update_time.ToNanoseconds() / 1e9


def cancel_without_redis(servers: Servers) -> float:
    """From the answer to a cancel until the handler has noticed and the task has ended."""
    with servers.stack() as services, services.client() as client:
        task_id = submit(client, "cancelled", 60)
        services.wait_for("begin", "cancelled")
        servers.redis.kill()
        try:
            client.cancel(task_id)
            since = time.time()
            ended = client.wait(task_id, 60)
        finally:
            servers.redis.start()
    assert ended.state == task_pb2.TASK_STATE_CANCELLED
    return ended.update_time.ToNanoseconds() / 1e9 - since


def gateway_restarted(servers: Servers) -> float:
    """From the new gateway's first answer until a cut watch has the end that it missed."""
    with servers.stack() as services, services.client() as client:
        watch = client.watch(submit(client, "missed", 2))
        next(watch)
        services.wait_for("begin", "missed")
        services.kill("gateway")
        services.wait_for("end", "missed")
        services.start_gateway()
        since = time.monotonic()
        *_, last = (e.task for e in watch if e.WhichOneof("kind") == "task")
        assert last.state == task_pb2.TASK_STATE_SUCCEEDED
    return time.monotonic() - since


def gateway_lost_before_publishing(servers: Servers) -> float:
    """From the kill until a task has run that the lost gateway alone would have published."""
    request_id = str(uuid.uuid4())
    with servers.stack() as services, services.client() as client:
        services.stop("gateway")
        services.start_gateway(failpoints="publish.begun:kill")
        with suppress(Unreachable):
            submit(client, "unpublished", request_id=request_id)
        assert services.processes["gateway"].wait(30) == -signal.SIGKILL
        since = time.monotonic()
        services.start_gateway()
        task_id = submit(client, "unpublished", request_id=request_id)
        assert client.wait(task_id, 90).state == task_pb2.TASK_STATE_SUCCEEDED
    return time.monotonic() - since


LOSSES = (
    Loss(
        "worker-process",
        "a worker process is killed, its supervisor lives",
        "kill → another attempt begins",
        12,
        lost_process,
    ),
    Loss(
        "host",
        "a worker is lost with its supervisor, or its host",
        "kill → another attempt begins elsewhere",
        25,
        lost_host,
    ),
    Loss(
        "rabbitmq",
        "RabbitMQ is killed; tasks are submitted meanwhile",
        "it accepts clients again → ten waiting tasks have ended",
        10,
        rabbitmq_restarted,
    ),
    Loss(
        "redis-watch",
        "Redis is lost, and stays away: a watch",
        "the task's end → the watcher has it",
        6,
        redis_lost,
    ),
    Loss(
        "redis-cancel",
        "Redis is lost, and stays away: a cancel",
        "the cancel's answer → the running task has ended",
        6,
        cancel_without_redis,
    ),
    Loss(
        "gateway",
        "a gateway is killed and started again: a watch",
        "it serves again → the cut watch has the end that it missed",
        10,
        gateway_restarted,
    ),
    Loss(
        "gateway-outbox",
        "a gateway is killed with a task that only it would have published, and started again",
        "kill → the task has ended",
        25,
        gateway_lost_before_publishing,
    ),
)


def table(figures: dict[str, list[float]], rounds: int) -> str:
    """The README's block: each loss, its bound and what was measured."""
    lines = [
        f"Bounds at the default settings, and what `make recovery ROUNDS={rounds}` measured on two"
        " shared cores:",
        "",
        "| loss | timed | bound | median | most |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {loss.what} | {loss.timed} | {loss.bound_s:.0f} s"
        f" | {statistics.median(figures[loss.name]):.1f} s | {max(figures[loss.name]):.1f} s |"
        for loss in LOSSES
    ]
    return "\n".join(lines)


def publish(figures: dict[str, list[float]], rounds: int) -> None:
    """Write the table between its markers in the README."""
    block = f"{BEGIN}\n{table(figures, rounds)}\n{END}"
    text = README.read_text()
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    README.write_text(re.sub(pattern, lambda _: block, text, flags=re.DOTALL))


@contextmanager
def servers() -> Iterator[Servers]:
    """A RabbitMQ and a Redis of this measurement's own."""
    made = Servers(RabbitServer(), RedisServer())
    try:
        made.rabbit.start()
        made.redis.start()
        yield made
    finally:
        made.rabbit.close()
        made.redis.close()


def measured(rounds: int) -> dict[str, list[float]]:
    """Seconds of every loss, by its name, `rounds` times; each is printed as it comes."""
    figures: dict[str, list[float]] = {loss.name: [] for loss in LOSSES}
    with servers() as ours:
        for number in range(rounds):
            for loss in LOSSES:
                took = loss.measure(ours)
                figures[loss.name].append(took)
                line = f"round {number + 1}, {loss.name}: {took:.2f} s, bound {loss.bound_s:.0f} s"
                print(line, flush=True)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how long each loss delays a task.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures = measured(rounds)
    publish(figures, rounds)
    late = [loss.name for loss in LOSSES if max(figures[loss.name]) > loss.bound_s]
    print(f"recovery: losses={len(LOSSES)} rounds={rounds} late={len(late)}", *late)
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())

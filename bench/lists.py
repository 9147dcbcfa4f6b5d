"""Lists and counts with very many tasks, through the real gateway, on SQLite and on PostgreSQL.

A million tasks are put straight into the tables. One client then asks query after query, each
shape in turn, twenty pages deep, while nothing else runs here; then all pages of a list are walked
while a writer submits tasks. Times are those of the client; CPU is what the gateway and the
database used for a query, which says more on a machine that others use too.

    make bench-lists
    make bench-lists BENCH="--tasks 100000 --stores sqlite"
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import sqlalchemy as sa

from bench.machine import cpu_ns, environment, family
from bench.many_tasks import RARE_TYPE, TYPES, insert_many
from taskwire.client import Client
from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1 import task_service_pb2_grpc
from taskwire_db.database import Database
from tests.e2e.work import submit
from tests.support.postgres import PostgresServer, database_of
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack

POSTGRESQL = {"shared_buffers": "512MB", "fsync": "on", "full_page_writes": "on"}
PAGES = 20
"""So many pages of each list are read, before the next filter's first one."""

WARM_UP = 40
Stub = task_service_pb2_grpc.TaskServiceStub
WALKED = "state = FAILED OR state = CANCELLED"


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of query; `required` ones have to be answered within 50 ms, 99 times in 100."""

    name: str
    filters: tuple[str, ...]
    order_by: str = ""
    group_by: tuple[str, ...] | None = None
    required: bool = True


CUSTOMERS = tuple(f"labels.customer = c{n:04}" for n in (0, 3, 40, 400, 1500, 1999))
FAILED_OF_CUSTOMER = tuple(f"state = FAILED AND {each}" for each in CUSTOMERS)

SHAPES = (
    Shape("all", ("",)),
    Shape("state", ("state = FAILED", "state = SUCCEEDED", "state = QUEUED")),
    Shape("state, rare", ("state = EXPIRED", "state = RUNNING")),
    Shape("type", tuple(f'type = "{each}"' for each in TYPES[:10])),
    Shape("type, 20 old tasks", (f'type = "{RARE_TYPE}"',)),
    Shape("label, a customer", CUSTOMERS),
    Shape("label, 70 of 100 tasks", ("labels.env = prod",)),
    Shape("state and type", tuple(f'state = FAILED AND type = "{each}"' for each in TYPES)),
    Shape("state and customer", FAILED_OF_CUSTOMER),
    Shape("state and a label of 5 in 100", ("state = FAILED AND labels.env = dev",)),
    Shape("type and a label of 1 in 100", (f'type = "{TYPES[5]}" AND labels.env = qa',)),
    Shape(
        "state, type and customer",
        tuple(f'{each} AND type = "{TYPES[0]}"' for each in FAILED_OF_CUSTOMER),
    ),
    Shape("either of two states", ("state = FAILED OR state = CANCELLED",)),
    Shape("either of two customers", (f"{CUSTOMERS[1]} OR {CUSTOMERS[4]}",)),
    Shape("oldest first, state", ("state = FAILED",), order_by="create_time"),
    Shape("last changed, all", ("",), order_by="update_time desc"),
    Shape("last changed, state", ("state = FAILED",), order_by="update_time desc", required=False),
    Shape("last changed, customer", CUSTOMERS, order_by="update_time desc", required=False),
    Shape("attempt, looked for", ("attempt > 4",), required=False),
    Shape("count by state", ("",), group_by=("state",)),
    Shape("count by state and type", ("", "state = FAILED"), group_by=("state", "type")),
    Shape("count by type, of a state", ("state = FAILED",), group_by=("type",)),
    Shape("count of a customer", CUSTOMERS, group_by=(), required=False),
)


def main() -> None:
    """Measure what the arguments ask for, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=1_000_000)
    arguments.add_argument("--queries", type=int, default=500, help="per shape")
    arguments.add_argument("--stores", default="sqlite,postgresql")
    chosen = arguments.parse_args()
    results: dict[str, dict[str, list[Cost]]] = {}
    walks: list[str] = []
    for name in chosen.stores.split(","):
        with _stack(name) as (stack, others):
            began = time.monotonic()
            _fill(stack.settings["database_url"], chosen.tasks)
            print(f"{name}: {chosen.tasks:,} tasks in {time.monotonic() - began:.0f} s", flush=True)
            stack.start_gateway()
            servers = [stack.processes["gateway"].pid, *others]
            with grpc.insecure_channel(stack.address) as channel:
                asking = Asking(task_service_pb2_grpc.TaskServiceStub(channel), servers)
                results[name] = _measure(name, asking, chosen.queries)
            with stack.client() as client:
                walks.append(f"{name}: {_walk(client, stack.address)}")
    print(f"\n{environment({}, {})}\n")
    print(_table(results), *walks, sep="\n")
    for which in ("wall", "cpu"):
        late = [
            f"{store} {shape.name}"
            for store, costs in results.items()
            for shape in SHAPES
            if shape.required and _percentiles(costs[shape.name], which)[1] >= 50
        ]
        print(f"p99 of 50 ms or more, {which}:", ", ".join(late) or "none")


@contextlib.contextmanager
def _stack(store: str) -> Iterator[tuple[Stack, list[int]]]:
    """A taskwire over servers of its own, with an empty database and nothing running yet, and
    the process of its database, if there is one."""
    with contextlib.ExitStack() as stack:
        others = []
        rabbit, redis = RabbitServer(), RedisServer()
        for server in (rabbit, redis):
            stack.callback(server.close)
            server.start()
        urls = {"rabbitmq_url": rabbit.url, "redis_url": redis.url}
        if store == "postgresql":
            postgres = PostgresServer(**POSTGRESQL)
            stack.callback(postgres.close)
            postgres.start()
            urls["database_url"] = stack.enter_context(database_of(postgres))
            others = [int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])]
        made = Stack(**urls)
        stack.callback(made.close)
        yield made, others


def _fill(url: str, count: int) -> None:
    database = Database(url)
    insert_many(database, count)
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("SET statement_timeout = 0"))
            # What autovacuum does of its own accord, a little later.
            connection.execute(sa.text("VACUUM ANALYZE"))
    database.checkpoint()
    database.close()


@dataclass(frozen=True, slots=True)
class Cost:
    """One query: how long its answer took, and what CPU gateway and database used for it."""

    wall: float
    cpu: float


class Asking:
    """Asks queries, and tells what each cost in milliseconds."""

    def __init__(self, tasks: Stub, servers: Sequence[int]) -> None:
        self._tasks = tasks
        self._servers = servers
        self._family: list[int] = []

    def costs(self, shape: Shape) -> Iterator[Cost]:
        """Asks for ever, filter by filter and page by page."""
        self._family = [pid for server in self._servers for pid in family(server)]
        for filter_ in itertools.cycle(shape.filters):
            if shape.group_by is not None:
                count = pb.CountTasksRequest(filter=filter_, group_by=shape.group_by)
                yield self._cost(partial(self._tasks.CountTasks, count))[1]
                continue
            request = pb.ListTasksRequest(filter=filter_, order_by=shape.order_by)
            for _ in range(PAGES):
                page, cost = self._cost(partial(self._tasks.ListTasks, request))
                yield cost
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token

    def _cost(self, ask: Callable[[], Any]) -> tuple[Any, Cost]:  # any answer
        used, began = cpu_ns(self._family), time.perf_counter()
        answer = ask()
        wall = (time.perf_counter() - began) * 1e3
        return answer, Cost(wall, (cpu_ns(self._family) - used) / 1e6)


def _measure(store: str, asking: Asking, queries: int) -> dict[str, list[Cost]]:
    """What the queries of each shape cost."""
    found = {}
    for shape in SHAPES:
        # The first ones fill caches and compile statements.
        costs = [*itertools.islice(asking.costs(shape), WARM_UP + queries)][WARM_UP:]
        found[shape.name] = costs
        print(f"{store}, {shape.name}: {_figures(costs)}", flush=True)
    return found


def _walk(client: Client, address: str) -> str:
    """All pages of the failed tasks, twice, while a writer adds tasks and the states move."""
    stop, added = threading.Event(), itertools.count()

    def write() -> None:
        with Client(address) as writer:
            while not stop.is_set():
                writer.cancel(submit(writer, f"k{next(added)}", labels={"walk": "yes"}))

    thread = threading.Thread(target=write)
    thread.start()
    began = time.monotonic()
    try:
        walks = [
            [(t.id, *t.labels) for t in client.list_tasks(WALKED, order_by=order, page_size=1_000)]
            for order in ("create_time desc", "create_time")
        ]
    finally:
        stop.set()
        thread.join()
    took = time.monotonic() - began
    there = client.count_tasks(f"{WALKED} AND NOT labels.walk:*").total_count
    for walk in walks:
        assert len(walk) == len({*walk}), "a task was met twice"
        assert sum("walk" not in task for task in walk) == there, "a task was missed"
    return (
        f"{len(walks[0]):,} and {len(walks[1]):,} tasks were walked in {took:.0f} s, none twice and"
        f" none missed, while {next(added):,} were added"
    )


def _percentiles(costs: Sequence[Cost], which: str) -> tuple[float, float]:
    """The median and the 99th percentile."""
    values = [getattr(cost, which) for cost in costs]
    return statistics.median(values), statistics.quantiles(values, n=100)[98]


def _figures(costs: Sequence[Cost]) -> str:
    return " | ".join(
        f"{figure:.1f}" for which in ("wall", "cpu") for figure in _percentiles(costs, which)
    )


def _table(results: dict[str, dict[str, list[Cost]]]) -> str:
    columns = ("p50", "p99", "CPU p50", "CPU p99")
    heading = " | ".join(f"{store} {column}" for store in results for column in columns)
    lines = [f"| query | {heading} |", "|---|" + "---|" * (len(columns) * len(results))]
    for shape in SHAPES:
        figures = " | ".join(_figures(costs[shape.name]) for costs in results.values())
        lines.append(f"| {shape.name} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

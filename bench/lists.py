"""Lists and counts with very many tasks, through the real gateway, on SQLite and on PostgreSQL.

A million tasks are put straight into the tables. One client then asks query after query, each
shape in turn with pages at its beginning and deep inside, while nothing else runs; then all pages
of a list are walked while a writer submits tasks. Times are those of the client.

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
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import sqlalchemy as sa

from bench.machine import environment
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
    results: dict[str, dict[str, list[float]]] = {}
    walks: list[str] = []
    for name in chosen.stores.split(","):
        with _stack(name) as stack:
            began = time.monotonic()
            _fill(stack.settings["database_url"], chosen.tasks)
            print(f"{name}: {chosen.tasks:,} tasks in {time.monotonic() - began:.0f} s", flush=True)
            stack.start_gateway()
            with grpc.insecure_channel(stack.address) as channel:
                stub = task_service_pb2_grpc.TaskServiceStub(channel)
                results[name] = _measure(name, stub, chosen.queries)
            with stack.client() as client:
                walks.append(f"{name}: {_walk(client, stack.address)}")
    print(f"\n{environment({}, {})}\n")
    print(_table(results), *walks, sep="\n")
    late = [
        f"{store} {shape.name}"
        for store, times in results.items()
        for shape in SHAPES
        if shape.required and _p99(times[shape.name]) >= 50
    ]
    print("p99 of 50 ms or more:", ", ".join(late) or "none")


@contextlib.contextmanager
def _stack(store: str) -> Iterator[Stack]:
    """A taskwire over servers of its own, with an empty database and nothing running yet."""
    with contextlib.ExitStack() as stack:
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
        made = Stack(**urls)
        stack.callback(made.close)
        yield made


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


def _measure(store: str, tasks: Stub, queries: int) -> dict[str, list[float]]:
    """Milliseconds of each query, by shape."""
    found = {}
    for shape in SHAPES:
        asking = _ask(tasks, shape)
        # The first ones fill caches and compile statements.
        times = [next(asking) for _ in range(WARM_UP + queries)][WARM_UP:]
        found[shape.name] = times
        print(f"{store}, {shape.name}: {_figures(times)}", flush=True)
    return found


def _ask(tasks: Stub, shape: Shape) -> Iterator[float]:
    """Asks for ever, filter by filter and page by page, and tells how long each answer took."""
    for filter_ in itertools.cycle(shape.filters):
        if shape.group_by is not None:
            began = time.perf_counter()
            tasks.CountTasks(pb.CountTasksRequest(filter=filter_, group_by=shape.group_by))
            yield (time.perf_counter() - began) * 1_000
            continue
        request = pb.ListTasksRequest(filter=filter_, order_by=shape.order_by)
        for _ in range(PAGES):
            began = time.perf_counter()
            page = tasks.ListTasks(request)
            yield (time.perf_counter() - began) * 1_000
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token


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


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _figures(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} | {_p99(times):.1f}"


def _table(results: dict[str, dict[str, list[float]]]) -> str:
    stores = list(results)
    heading = " | ".join(f"{store} p50 | p99" for store in stores)
    lines = [f"| query | {heading} |", "|---|" + "---|---|" * len(stores)]
    for shape in SHAPES:
        figures = " | ".join(_figures(results[store][shape.name]) for store in stores)
        lines.append(f"| {shape.name} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

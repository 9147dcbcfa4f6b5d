"""taskwire beside what is used in its place: ratios, pair by pair, and the targets.

    make bench
    make bench-quick
    make bench BENCH="--pairs 1 --scale 0.1 --subjects taskwire,S1 --workloads unary,batch"

Absolute figures belong to the machine and the hour; what counts is the ratio within a pair.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import redis

from bench.machine import environment
from bench.measuring import measure
from bench.plan import FULL, QUICK, Visit, with_rows
from bench.publishing import publish
from bench.report import absolute_table, targets_text
from bench.results import Results
from bench.rounds import Round
from bench.subjects.subject import BENCH_PYTHON, ROOT, Servers
from bench.verdicts import judge, targets_met
from tests.support.postgres import PostgresServer
from tests.support.servers import RabbitServer, RedisServer

DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
PACKAGES = {
    "taskwire": ("dramatiq", "grpcio", "pika", "protobuf", "redis", "sqlalchemy", "uvloop"),
    "baseline": ("aiohttp", "celery", "dramatiq", "fastapi", "kombu", "uvicorn", "uvloop"),
}
EVERYTHING = {"pairs": 5, "scale": 1.0, "minutes": 25.0}
IN_A_HURRY = {"pairs": 2, "scale": 0.5, "minutes": 2.9}


def main() -> None:
    """Measure, judge, and keep every round as JSON."""
    asked = _arguments()
    if shutil.which("h2load") is None or not BENCH_PYTHON.exists():
        sys.exit("h2load, or the environment of the other programs, is missing: make bench-quick")
    # The end by a signal reaps what was started, like every other end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    began, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    made_on = environment({"taskwire": Path(sys.executable), "baseline": BENCH_PYTHON}, PACKAGES)
    rounds: list[Round] = []

    def results() -> Results:
        pairs = max((each.pair for each in rounds), default=0)
        took_s = round(time.monotonic() - clock)
        return Results(began, took_s, pairs, asked.scale, made_on, rounds)

    try:
        with _servers() as servers:
            made_on |= _versions(servers)
            for found in _measured(_chosen(asked), servers, asked, clock):
                rounds += found
    finally:
        # What was measured before something failed may say why.
        results().write(asked.out)
    if asked.publish:
        publish(results())
    verdicts = judge(rounds)
    print(f"\n{absolute_table(rounds)}\n\n{targets_text(verdicts)}\n")
    print(f"Every round is in {asked.out}; it took {results().took_s} s.")
    print(targets_met(verdicts))


def fits(pair: int, spent_s: float, minutes: float) -> bool:
    """Whether the pair would end in time if it took as long as those before it; the first does."""
    return pair == 1 or spent_s * pair / (pair - 1) <= 60 * minutes


def _measured(
    visits: Sequence[Visit], servers: Servers, asked: argparse.Namespace, clock: float
) -> Iterator[list[Round]]:
    """The rounds of each visit."""
    for pair in range(1, asked.pairs + 1):
        if not fits(pair, time.monotonic() - clock, asked.minutes):
            print(f"{asked.minutes:g} minutes are not enough for another pair.")
            return
        print(f"pair {pair} of {asked.pairs}", flush=True)
        # A B, B A: whatever drifts meets both alike.
        for visit in visits if pair % 2 else visits[::-1]:
            if pair == 1 or not visit.once:
                yield measure(visit, servers, pair=pair, scale=asked.scale)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="what fits into three minutes")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--minutes", type=float, help="no pair is begun that would end later")
    parser.add_argument("--scale", type=float, help="of the number of tasks")
    parser.add_argument("--subjects", default="", help="comma-separated; default: all")
    parser.add_argument("--workloads", default="", help="comma-separated; default: all")
    parser.add_argument("--rows", type=int, help="visit a database with so many ended tasks, too")
    parser.add_argument("--publish", action="store_true", help="write docs/bench and the README")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "bench" / "results.json")
    asked = parser.parse_args()
    for name, value in (IN_A_HURRY if asked.quick else EVERYTHING).items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    return asked


def _chosen(asked: argparse.Namespace) -> list[Visit]:
    visits = QUICK if asked.quick else FULL
    if asked.rows:
        visits = (*visits, with_rows(asked.rows))
    wanted = [*filter(None, asked.workloads.split(","))]
    return [
        replace(visit, workloads=workloads)
        for visit in visits
        if not asked.subjects or visit.name in asked.subjects.split(",")
        if (workloads := tuple(w for w in visit.workloads if not wanted or w in wanted))
    ]


@contextlib.contextmanager
def _servers() -> Iterator[Servers]:
    """A RabbitMQ, a Redis and a PostgreSQL of this run's own."""
    with contextlib.ExitStack() as stack:
        rabbit, redis_server, postgres = RabbitServer(), RedisServer(), PostgresServer(**DURABLE)
        for server in (rabbit, redis_server, postgres):
            stack.callback(server.close)
            server.start()
        yield Servers(rabbit, redis_server, postgres)


def _versions(servers: Servers) -> dict[str, str]:
    with redis.Redis.from_url(servers.redis.url) as connection:
        redis_version = str(connection.info("server")["redis_version"])
    with psycopg.connect(servers.postgres.url("postgres")) as database:
        postgresql = str(database.info.parameter_status("server_version"))
    h2load = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=True)
    return {
        "rabbitmq": servers.rabbit.ctl("version").strip(),
        "redis": redis_version,
        "postgresql": postgresql,
        "h2load": h2load.stdout.strip(),
    }


if __name__ == "__main__":
    main()

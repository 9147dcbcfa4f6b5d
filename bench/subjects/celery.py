"""FastAPI and Celery: S0 without a database, S1 with a row per task, and the tuned form."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sqlite3

import redis

from bench.load.h2load import Request, json_request
from bench.load.measure import TEXT
from bench.subjects.pictures import SIDE, picture
from bench.subjects.program import Program
from bench.subjects.subject import BENCH_PYTHON
from tests.support.eventually import eventually


class _Celery(Program):
    """uvicorn with one process, Celery with one for each core."""

    def start(self) -> None:
        module = f"bench.baseline.{self.family.lower()}"
        uvicorn = f"-m uvicorn {module}_app:app --port {self.port}"
        self.spawn("api", f"{uvicorn} --log-level warning --no-access-log")
        eventually(lambda: self.listens("api"), within=30, what="the API listens")
        celery = f"-m celery -A {module}_tasks worker --concurrency {os.cpu_count()}"
        self.spawn("worker", f"{celery} --loglevel INFO --without-gossip --without-mingle")
        eventually(lambda: " ready." in self.log_of("worker"), within=30, what="Celery works")

    def request(self, kind: str, tasks: int) -> Request:
        task = {"text": TEXT}
        if kind == "unary":
            return json_request("/tasks", json.dumps(task).encode())
        if kind == "batch":
            return json_request("/tasks:batch", json.dumps({"tasks": [task] * tasks}).encode())
        assert kind == "thumbnails", f"{self.name} has no {kind}"
        body = {"image": base64.b64encode(picture()).decode(), "side": SIDE}
        return json_request("/thumbnails", json.dumps(body).encode())

    def client(self) -> tuple[list[str], dict[str, str]]:
        return [str(BENCH_PYTHON), "-m", "bench.load.polling"], self.environment


class S0(_Celery):
    """No database: what has ended has a result in Redis."""

    name = family = "S0"

    def ended(self) -> int:
        with redis.Redis.from_url(self.results_url) as connection:
            return int(connection.dbsize())

    def check(self, expected: int) -> None:
        with redis.Redis.from_url(self.results_url) as connection:
            results = connection.mget(list(connection.scan_iter(count=1_000)))
        states = [json.loads(result)["status"] for result in results]
        assert len(states) == states.count("SUCCESS") == expected, (len(states), expected)


class S1(_Celery):
    """A row of SQLite for each task, which is marked when it has ended."""

    name = family = "S1"

    def _states(self) -> dict[str, int]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        ) as connection:
            return dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY 1"))

    def ended(self) -> int:
        return self._states().get("done", 0)

    def check(self, expected: int) -> None:
        states = self._states()
        assert states == {"done": expected}, states


class Tuned(_Celery):
    """Nothing is recorded: each task that ends appends one byte to a file."""

    name = family = "tuned"

    def ended(self) -> int:
        return self.ended_file.stat().st_size

    def check(self, expected: int) -> None:
        assert self.ended() == expected, (self.ended(), expected)

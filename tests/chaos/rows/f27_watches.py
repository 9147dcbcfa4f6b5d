"""F27 and F28: thousands of watches while what they hang on goes away, and watchers that read late
or never."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1 import task_service_pb2_grpc
from tests.chaos.checking import Violation
from tests.chaos.context import Chaos
from tests.chaos.history import History
from tests.chaos.measuring import usage
from tests.chaos.records import Fault, Ok, Resumed, Seen, Watch, WatchEnd
from tests.chaos.rows.registry import row
from tests.chaos.watchers import Plan
from tests.chaos.work import new_request_id, submission_of, work
from tests.support.admin import scraped
from tests.support.eventually import eventually
from tests.support.processes import alive, kill_group, spawn
from tests.support.stack import TESTS

MOST_BYTES = 40 * 1024
"""Of memory that an idle watch may take in the gateway."""

PROCESSES = 2
_FIRST_NUMBER = 1_000_000
_QUEUE = "chaos"
_PATIENCE_S = 600.0


def submitted(chaos: Chaos, count: int, **script: object) -> list[str]:
    """New tasks that nobody runs: their queue is paused."""
    chaos.client.client.queues.pause(_QUEUE, "the row's")
    requests = (
        submission_of(work(key="row", **script), request_id=new_request_id(chaos.chance))  # type: ignore[arg-type]  # fields of the script
        for _ in range(count)
    )
    outcomes = list(chaos.client.submit_many(requests))
    return [outcome.told[0].task_id for outcome in outcomes if isinstance(outcome, Ok)]


def direct(chaos: Chaos) -> str:
    """The gateway past its proxy, which has one thread for everybody."""
    return f"127.0.0.1:{chaos.cluster.port('gateway', 'grpc')}"


def open_watches(chaos: Chaos) -> int:
    """How many the gateway says that it serves."""
    admin = f"127.0.0.1:{chaos.cluster.port('gateway', 'admin')}"
    return int(scraped(admin).sum("taskwire_gateway_calls_open", kind="watch"))


def memory(chaos: Chaos) -> int:
    """What the gateway takes now, in bytes."""
    (pid,) = chaos.cluster.pids("gateway")
    return usage("gateway", pid, "before")[0].rss_bytes


@contextmanager
def watching(chaos: Chaos, task_ids: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that follow every task to its end."""
    folder = chaos.cluster.folder
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(PROCESSES):
            plan = Plan(
                address=direct(chaos),
                history=str(chaos.cluster.history),
                task_ids=list(task_ids[number::PROCESSES]),
                first_number=_FIRST_NUMBER * (number + 1),
                connections=5,
            )
            path = folder / f"watchers-{number}.json"
            path.write_bytes(msgspec.json.encode(plan))
            command = [sys.executable, "-m", "tests.chaos.watchers", str(path)]
            processes.append(spawn(command, env=env, log=folder / "watchers.log"))
        yield processes
    finally:
        for process in processes:
            kill_group(process)


def all_over(chaos: Chaos, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until every watch has come to its end."""
    log: Path = chaos.cluster.folder / "watchers.log"
    eventually(
        lambda: not any(map(alive, processes)), within=_PATIENCE_S, what="every watch is over"
    )
    assert {process.returncode for process in processes} == {0}, log.read_text()[-4000:]


def ends_missed(history: History) -> list[Violation]:
    """Every watch of these rows has shown its task's end once, and was over in order."""
    ends = {r.watch: r for r in history.records if isinstance(r, WatchEnd)}
    shown: dict[int, list[Seen]] = {}
    for record in history.records:
        if isinstance(record, Seen):
            shown.setdefault(record.watch, []).append(record)
    return [
        Violation("F27", "a watch did not show its task's end once", watch.task_ids[0], (watch,))
        for watch in history.records
        if isinstance(watch, Watch)
        and watch.watch >= _FIRST_NUMBER
        and (
            (end := ends.get(watch.watch)) is None
            or (end.status, end.reason) != ("OK", "TERMINAL")
            or [seen.state for seen in shown.get(watch.watch, [])].count("SUCCEEDED") != 1
        )
    ]


def nobody_was_cut(history: History) -> list[Violation]:
    """The row did what it says: watches were interrupted, and not by nothing."""
    if any(isinstance(record, Resumed) for record in history.records):
        return []
    faults = tuple(record for record in history.records if isinstance(record, Fault))
    return [Violation("F27", "no watch was interrupted", "", faults)]


def many_watches(chaos: Chaos, count: int) -> None:
    """`count` watches; Redis is restarted, and while their tasks end the gateway is killed."""
    # One is watched for so long that the gateway is not killed when all have ended.
    task_ids = [*submitted(chaos, 1, seconds=10), *submitted(chaos, count - 1)]
    assert len(task_ids) == count
    chaos.stay(2)
    before = memory(chaos)
    with watching(chaos, task_ids) as processes:
        eventually(lambda: open_watches(chaos) == count, within=_PATIENCE_S)
        chaos.stay(5)
        each = (memory(chaos) - before) / count
        print(f"{count} idle watches take {each / 1024:.1f} KiB each in the gateway")
        assert each <= MOST_BYTES, f"an idle watch takes {each:.0f} bytes"
        with chaos.fault("restarted", "redis"):
            chaos.servers.redis.stop()
            chaos.servers.redis.start()
        heard = "Redis is heard again"
        eventually(lambda: heard in chaos.cluster.log("gateway"), within=60)
        # On a busy machine one may have given up a late sign of life, and come back.
        eventually(lambda: open_watches(chaos) == count, within=_PATIENCE_S)
        chaos.client.client.queues.resume(_QUEUE)
        eventually(lambda: open_watches(chaos) <= count * 3 // 4, within=_PATIENCE_S)
        chaos.kill("gateway")
        chaos.cluster.start("gateway")
        all_over(chaos, processes)
    # The allocator keeps what thousands of streams have taken; what a server that is at rest has
    # given back is not this row's question.
    chaos.cluster.restart("gateway")


@row(
    "F27",
    "10,000 idle watches; Redis is restarted, then the gateway killed",
    needs_s=300,
    stores=["sqlite"],
    breaks=["redis"],
    plan=None,
    recovery_bound_s=120,
    invariants=[ends_missed, nobody_was_cut],
)
def ten_thousand_watches(chaos: Chaos) -> None:
    many_watches(chaos, 10_000)


@row(
    "F28",
    "Watchers that never read, beside others",
    needs_s=60,
    stores=["sqlite"],
    plan=None,
    invariants=[ends_missed],
)
def watchers_that_never_read(chaos: Chaos) -> None:
    """Each result is larger than what a connection takes without being read."""
    count, result_bytes = 100, 1 << 20
    large = submitted(chaos, count, result_bytes=result_bytes)
    small = submitted(chaos, count)
    stub = task_service_pb2_grpc.TaskServiceStub(chaos.client.client.channel)
    with chaos.fault("unread", "gateway"):
        # A stream is read as its iterator is asked, and nobody asks.
        unread = [stub.WatchTask(pb.WatchTaskRequest(id=each)) for each in large for _ in "ab"]
        eventually(lambda: open_watches(chaos) == len(unread), within=60)
        before = memory(chaos)
        with watching(chaos, small) as processes:
            eventually(lambda: open_watches(chaos) == len(unread) + count, within=60)
            chaos.client.client.queues.resume(_QUEUE)
            begun = time.monotonic()
            all_over(chaos, processes)
            print(f"others were over after {time.monotonic() - begun:.1f} s")
        for task_id in large:
            chaos.ended(task_id)
        grown = memory(chaos) - before
        print(f"{len(unread)} unread watches of {result_bytes} bytes take {grown >> 20} MiB")
        # A watch holds the newest state and the message that is on its way.
        assert grown <= 3 * result_bytes * len(unread)
        for stream in unread:
            stream.cancel()
        eventually(lambda: open_watches(chaos) == 0, within=60)
    chaos.cluster.restart("gateway")

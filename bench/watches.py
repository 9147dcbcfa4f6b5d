"""Very many watches of tasks that wait: what each takes in the gateway, and whether any is lost."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.load.h2load import PATIENCE_S
from bench.machine import pss_mb
from bench.subjects.subject import ROOT
from bench.subjects.taskwire import Taskwire
from taskwire.client import Client

QUEUE = "benchmark"
_AT_REST_S = 5.0


def watches(subject: Taskwire, count: int) -> dict[str, float]:
    """`count` tasks wait in a paused queue and are watched; then it goes on and all of them end."""
    address = subject.addresses[0]
    gateway = [subject.processes["gateway"]]
    client = subprocess.Popen(
        [sys.executable, "-m", "bench.load.watching", address, str(count)],
        cwd=ROOT,
        env=subject.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with Client(address) as operator:
            operator.queues.pause(QUEUE, "the measurement's")
            _step(client, "submitted")
            time.sleep(_AT_REST_S)
            before = pss_mb(gateway)
            _step(client, "open")
            time.sleep(_AT_REST_S)
            after = pss_mb(gateway)
            operator.queues.resume(QUEUE)
            ended = int(_step(client))
        client.wait(PATIENCE_S)
    finally:
        client.kill()
        client.communicate()
    return {
        "tasks": count,
        "lost": count - ended,
        "kib_each": (after - before) * 1e6 / 1_024 / count,
    }


def _step(client: subprocess.Popen[str], answer: str = "") -> str:
    """Let the client go on; what it prints then, which is `answer` when that is given."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("go on\n")
    client.stdin.flush()
    line = client.stdout.readline().strip()
    assert line
    assert answer in ("", line), line
    return line

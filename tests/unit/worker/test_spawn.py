"""What becomes of a child when the process that started it is killed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.eventually import eventually
from tests.support.processes import gone, send
from tests.unit.worker import deaf_process

PARENT = f"""
import signal
from taskwire_worker.spawn import spawn

child = spawn({deaf_process.__name__!r})
child.pipe.recv()
print(child.process.pid, flush=True)
signal.pause()
"""


def test_a_child_that_hears_nothing_dies_with_the_process_that_started_it() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    try:
        eventually(lambda: gone(child))
    finally:
        send(child, "KILL")

"""The first worker processes: forked from the supervisor, with which they share what is loaded.

A process that has loaded taskwire has some 60 MB, half of which nobody writes to any more. A
fork shares that half, but a process with threads must not be forked: the locks that they hold
stay locked in the copy for ever. So the supervisor forks before it has any thread or connection,
and what follows a process that has died is a fresh interpreter, as large as it is.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from taskwire_worker.spawn import Child

RunChild = Callable[[int, int], None]
"""The main of a worker process: the descriptor of its pipe, and the supervisor's number."""

_PAUSE_S = 0.01


class Firstborn:
    """Forks at once; `next` hands the processes over one by one, `close` ends the others."""

    def __init__(self, count: int, run_child: RunChild) -> None:
        """`count` processes; fewer when there is no room for them, and none when something, such
        as an agent that watches programs, has begun a thread here before this one's main."""
        # A program that ignores it leaves that to those it starts, and how a process has ended
        # is not to be learnt then: one that was killed would count as one that is done.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What is garbage is not copied, and no collection writes into what is shared.
        gc.collect()
        gc.freeze()
        self._waiting: list[Child] = []
        for _ in range(count if _has_one_thread() else 0):
            try:
                self._fork(run_child)
            except OSError:
                break

    def next(self) -> Child | None:
        """One that nobody has; None when there is none."""
        return self._waiting.pop(0) if self._waiting else None

    def close(self) -> None:
        """Ends those that nobody has."""
        while (child := self.next()) is not None:
            child.process.kill()
            child.reap()

    def _fork(self, run_child: RunChild) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        with theirs:
            pid = os.fork()
            if not pid:
                ours.close()
                for other in self._waiting:
                    other.pipe.close()
                _begin(theirs.detach(), parent, run_child)
        self._waiting.append(Child(ForkedProcess(pid), Connection(ours.detach())))


class ForkedProcess:
    """A child process of this one, as a `subprocess.Popen` is one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not within `timeout` seconds.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        # Not by a descriptor, of which there may be none left.
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            time.sleep(_PAUSE_S)
        return code

    def kill(self) -> None:
        """SIGKILL, unless it has ended and was waited for."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _has_one_thread() -> bool:
    """Those of libraries in C are counted too."""
    return len(os.listdir("/proc/self/task")) == 1


def _begin(descriptor: int, parent: int, run_child: RunChild) -> None:
    """Never returns: the process ends as any program does, with what is registered for the end."""
    try:
        # Ctrl-C in a terminal goes to the parent alone, which knows how to drain.
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        run_child(descriptor, parent)
    except Exception:
        # Not to be taken for the supervisor's own error by those who have called it.
        traceback.print_exc()
        sys.exit(1)
    sys.exit(0)

"""Starts Python processes that talk over one pipe and die with the one that started them.

A fresh interpreter, not a fork: forking a process with threads copies locks that nobody will
release. Used for isolation children (by a worker) and for worker processes (by the supervisor)
but the first ones.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

_PR_SET_PDEATHSIG = 1
_BOOT = (
    "import json,sys;sys.path[:]=json.loads(sys.argv[3]);"
    "from importlib import import_module;"
    "import_module(sys.argv[4]).run_child(int(sys.argv[1]),int(sys.argv[2]))"
)


class Process(Protocol):
    """A child process of this one: what is needed of a `subprocess.Popen`."""

    pid: int
    returncode: int | None
    """Known once it was waited for."""

    def poll(self) -> int | None:
        """The exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises `subprocess.TimeoutExpired`."""

    def kill(self) -> None:
        """Ends it at once."""


@dataclass(frozen=True, slots=True)
class Child:
    """A started process and our end of its pipe."""

    process: Process
    pipe: Connection

    @property
    def ended(self) -> bool:
        """Whether the process has ended; what it started may live on until `kill`."""
        if self.process.returncode is not None:
            return True
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, how) is not None
        except ChildProcessError:
            return True

    def kill(self) -> None:
        """Ends the process, with everything that it started in its session, at once.

        What it started ends also when the process itself has ended, unless it was reaped: its
        number may be somebody else's from then on.
        """
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                # It became a session leader before it became ours to kill, or is gone.
                self.process.kill()

    def reap(self) -> int:
        """Waits for the end of a killed or ending process; its exit code."""
        code = self.process.wait()
        self.pipe.close()
        return code


def spawn(module: str) -> Child:
    """Runs `module.run_child(descriptor, parent)` in a new process with this one's sys.path.

    Call it from a thread that lives as long as this process: the kernel sends the death
    signal when the thread ends that started the child.
    """
    ours, theirs = socket.socketpair()
    arguments = [str(theirs.fileno()), str(os.getpid()), json.dumps(sys.path), module]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            # Ctrl-C in a terminal goes to the parent alone, which knows how to drain.
            start_new_session=True,
        )
    return Child(process, Connection(ours.detach()))


def adopt(descriptor: int, parent: int) -> Connection:
    """The child's end of the pipe; from now on the child dies when its parent does.

    Exits at once when the parent is gone already.
    """
    os.set_inheritable(descriptor, False)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    return Connection(descriptor)

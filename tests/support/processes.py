"""Child processes of the tests: started so that none of them outlives the test run."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_PORTS = range(10_000, 32_000)
_CHANCE = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of 127.0.0.1 that nobody listens on now.

    They are below those that the system gives to connections: any of these may be in use when
    a server that was killed comes back to its port.
    """
    found: set[int] = set()
    while len(found) < count:
        port = _CHANCE.choice(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as each:
            each.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """`command` in a process group of its own, its output in `log`, killed if the tests die."""
    # A program sets this and becomes the command. A preexec_fn would run Python, and gRPC's fork
    # handlers, in a copy of this process in which no other thread goes on: it may wait for ever.
    bound = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            bound,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def alive(process: subprocess.Popen[bytes] | None) -> bool:
    """Whether the process was started and has not ended."""
    return process is not None and process.poll() is None


def gone(pid: int) -> bool:
    """Whether the process has ended; its parent may not have reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def send(pid: int, name: str) -> None:
    """The signal SIG`name` to a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.Signals[f"SIG{name}"])


def descendants(pid: int) -> dict[int, str]:
    """The living processes that `pid` and its children have started: their command lines."""
    found: dict[int, str] = {}
    for child in children(pid):
        # One that has ended meanwhile, or was not yet reaped, has no command line.
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{child}/cmdline").read_bytes()
            if line:
                found[child] = line.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        found |= descendants(child)
    return found


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and not reaped yet."""
    # Each thread has the children that it has started itself.
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in each.read_text().split()]
    return found


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and everything in its group, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def stop_group(process: subprocess.Popen[bytes], *, within: float = 20.0) -> None:
    """SIGTERM, then SIGKILL to whatever of its group is left after `within` seconds."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within)
    kill_group(process)

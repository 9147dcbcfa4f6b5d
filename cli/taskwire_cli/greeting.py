"""What `taskwire dev` says when it is ready: lines to paste into another terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from taskwire_cli.connection import reachable_form

_EXAMPLE = "taskwire.examples.v1.MathTasks/Divide"
_EXAMPLE_INPUT = '{"dividend": 84, "divisor": 2}'


def greeting(
    address: str,
    types: Iterable[str],
    *,
    where: str,
    admin: str | None = None,
    unhandled: Iterable[str] = (),
) -> str:
    """The lines for a server that listens on `address`, serves `types` and is `where`; `admin`
    is the address of its admin port, and no handler is there for `unhandled`."""
    names = sorted(types)
    lines = [f"taskwire serves {_count(names)} on {address} ({where}). Ctrl-C stops it."]
    if admin is not None:
        lines.append(f"Metrics: http://{admin}/metrics  Exceptions: http://{admin}/-/exceptions")
    if waiting := sorted(unhandled):
        lines.append(f"No handler here: {', '.join(waiting)} (such tasks wait for a worker).")
    if not names:
        return "\n".join(lines)
    name = _EXAMPLE if _EXAMPLE in names else names[0]
    data = _EXAMPLE_INPUT if name == _EXAMPLE else "{}"
    lines += ["", "Call a task, in another terminal:", ""]
    lines += [f"  {line}" for line in paste_lines(reachable_form(address), name, data)]
    return "\n".join(lines)


def paste_lines(address: str, name: str, data: str) -> list[str]:
    """A durable call of the task type `name` with two clients that need no .proto file."""
    grpcurl = f"grpcurl -plaintext -d '{data}' {address} {name}"
    buf = f"curl --protocol grpc --http2-prior-knowledge -d '{data}' http://{address}/{name}"
    found = _buf()
    return [grpcurl, f"{found} {buf}"] if found else [grpcurl]


def _buf() -> str | None:
    """How the shell calls buf: the one beside this Python, from the present folder if it can."""
    beside = Path(sys.executable).parent / "buf"
    if not beside.exists():
        return shutil.which("buf") and "buf"
    folder = Path.cwd()
    return str(beside.relative_to(folder)) if beside.is_relative_to(folder) else str(beside)


def _count(names: list[str]) -> str:
    return f"{len(names)} task type{'' if len(names) == 1 else 's'}"

"""Handlers that return the wrong message, raise, or return too much.

The processes that import this find the contract's generated modules on PYTHONPATH.
"""

from __future__ import annotations

import threading

from misbehaving.v1 import misbehaving_pb2 as pb  # type: ignore[import-not-found]  # generated

from taskwire import TaskContext, task


@task("misbehaving.v1.MisbehavingTasks/Misbehave")
def misbehave(request: pb.MisbehaveRequest, context: TaskContext) -> object:
    return _misbehave(request.how)


@task("misbehaving.v1.MisbehavingTasks/MisbehaveApart", isolation="process")
def misbehave_apart(request: pb.MisbehaveApartRequest, context: TaskContext) -> object:
    return _misbehave(request.how)


def _misbehave(how: str) -> object:
    match how:
        case "return the wrong message":
            return pb.MisbehaveRequest(how=how)
        case "return nothing":
            return None
        case "return what is no message":
            return {"data": b""}
        case "return too much":
            return pb.MisbehaveResponse(data=bytes(5 << 20))
        case "return what cannot travel":
            return threading.Lock()
        case "raise":
            raise ValueError("the secret")
        case "exit":
            raise SystemExit("the secret")
    raise AssertionError(how)

"""The chaos tasks as a caller sees them: requests and the answers' class."""

from __future__ import annotations

import importlib
import random
import sys
import uuid
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from taskwire.submission import SubmitTaskRequest, submission
from taskwire.v1.options_pb2 import TaskOverrides
from tests.support.contracts import built

PROTOS = Path(__file__).parent / "protos"

Kind = Literal["Work", "WorkApart", "WorkAsync", "WorkOnce"]
KINDS: tuple[Kind, ...] = ("Work", "WorkApart", "WorkAsync", "WorkOnce")


def type_of(kind: Kind) -> str:
    """The task type's name."""
    return f"chaos.v1.ChaosTasks/{kind}"


@cache
def messages() -> Any:  # generated at run time
    """The module that protoc generates for the contract."""
    _, python = built(PROTOS)
    sys.path.insert(0, str(python))
    try:
        return importlib.import_module("chaos.v1.chaos_pb2")
    finally:
        sys.path.remove(str(python))


def work(kind: Kind = "Work", seconds: float = 0.0, **script: Any) -> Any:  # generated as well
    """The input of a task of a kind that takes `seconds`; `script` has the message's fields."""
    generated = messages()
    made = getattr(generated, f"{kind}Request")(script=generated.Script(**script))
    made.script.duration.FromTimedelta(timedelta(seconds=seconds))
    return made


def submission_of(
    input: Any, *, request_id: str, delay: timedelta | None = None
) -> SubmitTaskRequest:
    """The submission of one task."""
    request = submission(input, delay=delay)
    request.request_id = request_id
    return request


def limited(attempt_s: float, attempts: int = 20) -> TaskOverrides:
    """Overrides: how long an attempt may take, and how many there are."""
    made = TaskOverrides()
    made.attempt_timeout.FromTimedelta(timedelta(seconds=attempt_s))
    made.retry.max_attempts = attempts
    return made


def new_request_id(chance: random.Random) -> str:
    """A request id that the seed decides."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))

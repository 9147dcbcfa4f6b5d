"""F33: results that cannot be kept, and exceptions that say what nobody may know."""

from __future__ import annotations

from typing import Any

from taskwire.v1 import options_pb2
from tests.chaos.context import Chaos
from tests.chaos.links import kind_of
from tests.chaos.records import Ok, Outcome
from tests.chaos.rows.registry import row
from tests.chaos.work import Kind, messages, new_request_id, type_of, work

_KINDS: tuple[Kind, ...] = ("Work", "WorkAsync", "WorkApart")
_TOO_LARGE = 4 * 1024 * 1024 + 1
_ONCE = options_pb2.TaskOverrides(retry=options_pb2.RetryPolicy(max_attempts=1))


@row(
    "F33",
    "Results that are too large or no results, and exceptions that tell the input's secrets",
    needs_s=25,
)
def bad_ends(chaos: Chaos) -> None:
    chaos.load.more(10)
    for kind in _KINDS:
        for script in ({"result_bytes": _TOO_LARGE}, {"unencodable": True}):
            with chaos.fault("bad result", kind):
                secret = _secret(chaos)
                told = _called(chaos, kind, key=secret, **script)
                assert (told.code, told.reason) == ("INTERNAL", "BAD_RESULT"), told
        with chaos.fault("telling exception", kind):
            _tells(chaos, kind)
    # The worker has survived all of it.
    task_id = chaos.submit()
    assert chaos.ended(task_id).state == "SUCCEEDED"


def _tells(chaos: Chaos, kind: Kind) -> None:
    """An unforeseen exception whose text is a part of the input, and a name that telling ends."""
    secret = _secret(chaos)
    request = work(kind, key="teller", raises=f"{secret} was refused: password={_secret(chaos)}")
    outcome = chaos.client.submit(request, request_id=new_request_id(chaos.chance), overrides=_ONCE)
    assert isinstance(outcome, Ok), outcome
    task_id = outcome.told[0].task_id
    assert chaos.ended(task_id).state == "FAILED"
    failed = chaos.client.client.get(task_id)
    assert secret not in str(failed.error), failed.error
    assert failed.error.status.message, failed
    # It was told to the operators, and only without the secrets: the check looks for these.
    workers = [name for name in chaos.cluster.shape.names if kind_of(name) == "worker"]
    assert any(task_id in chaos.cluster.log(name) for name in workers), "it is in no worker's log"


def _called(chaos: Chaos, kind: Kind, **script: Any) -> Ok:
    outcome: Outcome = chaos.client.call(
        type_of(kind),
        work(kind, **script),
        messages().WorkResponse,
        request_id=new_request_id(chaos.chance),
        timeout_s=60,
    )
    assert isinstance(outcome, Ok), outcome
    return outcome


def _secret(chaos: Chaos) -> str:
    return chaos.recorder.canary(f"canary{chaos.chance.getrandbits(64):016x}")

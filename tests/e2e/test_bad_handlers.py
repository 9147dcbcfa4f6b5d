"""What the caller of a durable call is told when the handler did what no handler should."""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from taskwire.client import Client
from taskwire.v1 import task_pb2
from tests.support.contracts import built
from tests.support.embedded import EmbeddedServer
from tests.support.stack import TESTS

SERVICE = "misbehaving.v1.MisbehavingTasks"
RETURNS = {
    "return the wrong message": "misbehaving.v1.MisbehaveRequest instead of",
    "return nothing": "nothing instead of misbehaving.v1.MisbehaveResponse; correct it.",
    "return what is no message": "dict instead of",
    "return too much": "at most 4194304 are allowed",
    "return what cannot travel": "lock instead of",
}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    contracts, python = built(TESTS / "e2e" / "protos")
    server = EmbeddedServer(contracts=str(contracts), handlers="tests.e2e.misbehaving_handlers")
    server.python_path = os.pathsep.join([str(python), str(TESTS.parent)])
    try:
        server.start()
        with Client(server.address) as made:
            yield made
    finally:
        server.close()


def refused(client: Client, method: str, how: str) -> tuple[grpc.Call, dict[str, str], str]:
    """The error of a durable call, its ErrorInfo's metadata, and its reason."""
    request = client.input_message(f"{SERVICE}/{method}", f'{{"how": "{how}"}}')
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = client.channel.unary_unary(
        f"/{SERVICE}/{method}"
    )
    with pytest.raises(grpc.RpcError) as raised:
        call(request.SerializeToString(), timeout=30)
    error = raised.value
    assert isinstance(error, grpc.Call)
    found = rpc_status.from_call(error)
    assert found is not None
    info = error_details_pb2.ErrorInfo()
    (detail,) = found.details
    assert detail.Unpack(info)
    assert info.domain == "taskwire.dev"
    return error, dict(info.metadata), info.reason


@pytest.mark.parametrize("method", ["Misbehave", "MisbehaveApart"])
@pytest.mark.parametrize(("how", "sentence"), RETURNS.items())
def test_a_bad_result_is_internal_and_says_what_to_correct(
    client: Client, method: str, how: str, sentence: str
) -> None:
    error, metadata, reason = refused(client, method, how)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert sentence in (error.details() or "")
    assert reason == "BAD_RESULT"
    task = client.get(metadata["taskId"])
    assert task.state == task_pb2.TASK_STATE_FAILED


@pytest.mark.parametrize("method", ["Misbehave", "MisbehaveApart"])
@pytest.mark.parametrize("how", ["raise", "exit"])
def test_an_unexpected_exception_keeps_its_text_to_itself(
    client: Client, method: str, how: str
) -> None:
    error, metadata, reason = refused(client, method, how)
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert reason == "UNEXPECTED_EXCEPTION"
    assert "secret" not in (error.details() or "")
    # Embedded mode belongs to the one who runs it: the operator is told all.
    full = client.get(metadata["taskId"])
    assert "the secret" in full.error.stack_trace

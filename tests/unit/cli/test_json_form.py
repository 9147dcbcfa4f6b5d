"""Tasks as JSON when the server does not know everything that is in them."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from taskwire.client import Schema
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire.v1 import task_pb2
from taskwire_cli.json_form import task_json


class SchemaOf(Schema):
    """Knows the given messages, and asks nobody."""

    def __init__(self, *known: type[Message]) -> None:
        self._known = {each.DESCRIPTOR.full_name: each for each in known}
        self.pool = DescriptorPool()
        for each in known:
            self.pool.AddSerializedFile(_without_imports(each))

    def knows(self, name: str) -> bool:
        return name in self._known


def _without_imports(message: type[Message]) -> bytes:
    file = FileDescriptorProto.FromString(message.DESCRIPTOR.file.serialized_pb)
    del file.dependency[:]
    del file.service[:]
    return file.SerializeToString()


def packed(message: Message) -> Any:
    found = Any()
    found.Pack(message)
    return found


def test_a_payload_is_spelled_out() -> None:
    task = task_pb2.Task(id="t", result=packed(DivideResponse(quotient=2)))
    assert task_json(task, SchemaOf(DivideResponse))["result"]["quotient"] == 2


def test_a_payload_of_an_unknown_type_is_left_out_and_said_to_be() -> None:
    task = task_pb2.Task(id="t", input=packed(DivideRequest(divisor=2)))
    assert task_json(task, SchemaOf()) == {"id": "t", "payloadUnavailable": True}
    assert task.HasField("input"), "the task itself is left as it is"


def test_an_unknown_detail_of_an_error_is_left_out() -> None:
    task = task_pb2.Task(id="t")
    task.error.status.message = "No."
    task.error.status.details.append(packed(DivideRequest()))
    attempt = task.attempts.add()
    attempt.error.CopyFrom(task.error)
    shown = task_json(task, SchemaOf())
    assert shown["error"]["status"] == {"message": "No."}
    assert shown["attempts"][0]["error"]["status"] == {"message": "No."}

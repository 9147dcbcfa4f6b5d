"""Tasks as JSON when the server does not know everything that is in them."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo

from taskwire.client import Schema
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire.v1 import task_pb2
from taskwire_cli.json_form import message_json


class SchemaOf(Schema):
    """Knows the given messages, and asks nobody."""

    def __init__(self, *known: type[Message]) -> None:
        self.pool = DescriptorPool()
        for file in dict.fromkeys(file for each in known for file in _files(each)):
            self.pool.AddSerializedFile(file.serialized_pb)

    def _fetch(self, symbol: str) -> None:
        pass


def _files(message: type[Message]) -> Iterator[FileDescriptor]:
    """The file of `message` after those that it imports."""

    def walk(file: FileDescriptor) -> Iterator[FileDescriptor]:
        for each in file.dependencies:
            yield from walk(each)
        yield file

    file = message.DESCRIPTOR.file
    assert isinstance(file, FileDescriptor)
    return walk(file)


def packed(message: Message) -> Any:
    found = Any()
    found.Pack(message)
    return found


def test_a_payload_is_spelled_out() -> None:
    task = task_pb2.Task(id="t", result=packed(DivideResponse(quotient=2)))
    assert message_json(task, SchemaOf(DivideResponse))["result"]["quotient"] == 2


def test_a_payload_of_an_unknown_type_is_left_out_and_said_to_be() -> None:
    task = task_pb2.Task(id="t", input=packed(DivideRequest(divisor=2)))
    assert message_json(task, SchemaOf()) == {"id": "t", "payloadUnavailable": True}
    assert task.HasField("input"), "the task itself is left as it is"


def test_an_unknown_detail_of_an_error_is_left_out() -> None:
    task = task_pb2.Task(id="t")
    task.error.status.message = "No."
    task.error.status.details.append(packed(DivideRequest()))
    attempt = task.attempts.add()
    attempt.error.CopyFrom(task.error)
    shown = message_json(task, SchemaOf())
    assert shown["error"]["status"] == {"message": "No."}
    assert shown["attempts"][0]["error"]["status"] == {"message": "No."}


def test_a_task_within_a_payload_is_spelled_out_with_its_own_payloads() -> None:
    first = task_pb2.Task(id="first", input=packed(DivideRequest(divisor=2)))
    first.error.status.details.append(packed(ErrorInfo(reason="NO_FIGURES")))
    task = task_pb2.Task(id="t", input=packed(first))
    shown = message_json(task, SchemaOf(task_pb2.Task, DivideRequest, ErrorInfo))
    assert shown["input"]["input"]["divisor"] == 2
    assert shown["input"]["error"]["status"]["details"][0]["reason"] == "NO_FIGURES"
    assert "payloadUnavailable" not in shown["input"]


def test_an_unknown_payload_of_a_task_within_is_left_out_there() -> None:
    first = task_pb2.Task(id="first", input=packed(DivideRequest(divisor=2)))
    first.error.status.details.append(packed(DivideRequest()))
    task = task_pb2.Task(id="t", input=packed(first))
    shown = message_json(task, SchemaOf(task_pb2.Task))
    assert shown["input"].pop("@type").endswith("taskwire.v1.Task")
    assert shown["input"] == {"id": "first", "payloadUnavailable": True, "error": {"status": {}}}
    assert "payloadUnavailable" not in shown


def test_an_unknown_message_elsewhere_in_a_payload_is_empty_and_said_to_be() -> None:
    task = task_pb2.Task(id="t", input=packed(packed(DivideRequest(divisor=2))))
    shown = message_json(task, SchemaOf(Any))
    assert shown["input"]["value"] == {}
    assert shown["payloadUnavailable"] is True


def test_a_payload_that_is_damaged_is_left_out() -> None:
    task = task_pb2.Task(id="t", input=packed(DivideRequest(divisor=2)))
    task.input.value = b"\xff"
    shown = message_json(task, SchemaOf(DivideRequest))
    assert shown == {"id": "t", "payloadUnavailable": True}

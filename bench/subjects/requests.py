"""taskwire's requests as bytes, for a client that knows no protobuf."""

from __future__ import annotations

import uuid

from google.protobuf import any_pb2

from bench.load.h2load import Request, grpc_request
from bench.load.measure import TEXT
from bench.subjects.pictures import SIDE, picture
from taskwire.examples.v1 import image_tasks_pb2
from taskwire.v1 import task_service_pb2 as pb

_SERVICE = "/taskwire.v1.TaskService"


def request_for(kind: str, tasks: int) -> Request:
    """The request that hands over so many tasks; a body is repeated, so it has no request id."""
    if kind == "stream":
        return grpc_request(f"{_SERVICE}/StreamSubmitTasks", *_stream(tasks))
    submission = pb.SubmitTaskRequest(input=_input(kind))
    if tasks == 1:
        return grpc_request(f"{_SERVICE}/SubmitTask", submission.SerializeToString())
    batch = pb.BatchSubmitTasksRequest(requests=[submission] * tasks)
    return grpc_request(f"{_SERVICE}/BatchSubmitTasks", batch.SerializeToString())


def due_later() -> pb.SubmitTaskRequest:
    """A submission that is committed, and not run before the measurement is over."""
    request = pb.SubmitTaskRequest(input=_input("unary"))
    request.delay.FromSeconds(3_600)
    return request


def _stream(tasks: int) -> list[bytes]:
    """Each with a request id of its own: a stream is one body and is sent once."""
    return [
        pb.StreamSubmitTasksRequest(
            client_ref=str(number),
            request=pb.SubmitTaskRequest(input=_input("unary"), request_id=str(uuid.uuid4())),
        ).SerializeToString()
        for number in range(tasks)
    ]


def _input(kind: str) -> any_pb2.Any:
    if kind == "thumbnails":
        asked = image_tasks_pb2.MakeThumbnailRequest(
            image=picture(), max_width=SIDE, max_height=SIDE
        )
        return _any("taskwire.examples.v1.MakeThumbnailRequest", asked.SerializeToString())
    if kind == "naps":
        return _any("benchmark.v1.NapRequest", b"")
    # Its only field, the first, has a length; the generated module is not there yet.
    text = TEXT.encode()
    return _any("benchmark.v1.EchoRequest", b"\x0a" + bytes([len(text)]) + text)


def _any(message: str, value: bytes) -> any_pb2.Any:
    return any_pb2.Any(type_url=f"type.googleapis.com/{message}", value=value)

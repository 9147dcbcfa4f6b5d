"""The real grpcurl, with nothing but reflection, against an embedded server."""

from __future__ import annotations

import json
import subprocess
import uuid

import pytest

from tests.polyglot.programs import Curled, Grpcurl
from tests.support.embedded import EmbeddedServer

pytestmark = pytest.mark.polyglot

TASKS = "taskwire.v1.TaskService"
DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"
ANY = "type.googleapis.com/taskwire.examples.v1"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


def detail(answer: Curled, type_url: str) -> dict[str, object]:
    """The one detail of that type, decoded."""
    (found,) = [each for each in answer.error["details"] if each["@type"] == type_url]
    assert isinstance(found, dict)
    return found


def test_list_names_every_service(grpcurl: Grpcurl) -> None:
    listed = grpcurl("list")
    assert listed.out.split() == [
        "google.longrunning.Operations",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "taskwire.examples.v1.DataTasks",
        "taskwire.examples.v1.DemoTasks",
        "taskwire.examples.v1.EmailTasks",
        "taskwire.examples.v1.ImageTasks",
        "taskwire.examples.v1.MathTasks",
        "taskwire.v1.BulkTaskService",
        "taskwire.v1.QueueService",
        TASKS,
        "taskwire.v1.UserService",
    ]


def test_every_listed_service_can_be_described(grpcurl: Grpcurl) -> None:
    described = grpcurl("describe")
    assert described.code == 0, described.err
    for service in grpcurl("list").out.split():
        assert f"{service} is a service:" in described.out


def test_describe_shows_a_task_type_with_its_options(grpcurl: Grpcurl) -> None:
    described = grpcurl("describe", "taskwire.examples.v1.MathTasks.Divide")
    assert "rpc Divide ( .taskwire.examples.v1.DivideRequest )" in described.out
    assert "option (.taskwire.v1.task)" in described.out
    assert 'queue: "math"' in described.out


@pytest.mark.parametrize(
    ("symbol", "part"),
    [
        ("taskwire.v1.Task", "TaskState state = 4;"),
        ("taskwire.v1.TaskState", "TASK_STATE_SUCCEEDED"),
        ("taskwire.examples.v1.SleepRequest", "(.buf.validate.field)"),
        ("google.rpc.ErrorInfo", "map<string, string> metadata = 3;"),
        ("google.rpc.BadRequest", "repeated .google.rpc.BadRequest.FieldViolation"),
    ],
)
def test_describe_explains_messages_and_error_details(
    grpcurl: Grpcurl, symbol: str, part: str
) -> None:
    described = grpcurl("describe", symbol)
    assert described.code == 0, described.err
    assert part in described.out


def test_the_line_that_dev_prints_gives_a_real_result(
    embedded: EmbeddedServer, grpcurl: Grpcurl
) -> None:
    (line,) = [each for each in embedded.output.splitlines() if "grpcurl" in each]
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"quotient": 42}


def test_a_durable_call_with_a_request_id_is_one_task(grpcurl: Grpcurl) -> None:
    headers = {"taskwire-request-id": str(uuid.uuid4())}
    request = {"dividend": 1, "divisor": 4}
    first, again = (grpcurl.call(DIVIDE, request, headers) for _ in range(2))
    assert first.json == again.json == {"quotient": 0.25}
    other = grpcurl.call(DIVIDE, {"dividend": 2, "divisor": 4}, headers)
    assert detail(other, INFO)["reason"] == "REQUEST_ID_REUSED"


def test_a_task_is_submitted_with_an_any_watched_to_its_end_and_read(grpcurl: Grpcurl) -> None:
    sleep = {"@type": f"{ANY}.SleepRequest", "duration": "0.600s"}
    submitted = grpcurl.call(f"{TASKS}/SubmitTask", {"input": sleep, "delay": "2s"}).json
    assert submitted["disposition"] == "DISPOSITION_CREATED"
    task_id = submitted["task"]["id"]
    events = grpcurl.call(f"{TASKS}/WatchTask", {"id": task_id}).messages
    states = [event["task"]["state"] for event in events if "task" in event]
    assert states[-1] == "TASK_STATE_SUCCEEDED"
    assert any("progress" in event for event in events)
    assert events[-1] == {"closed": {"reason": "REASON_TERMINAL"}}
    task = grpcurl.call(f"{TASKS}/GetTask", {"id": task_id}).json["task"]
    assert task["input"] == sleep
    assert task["result"]["@type"] == f"{ANY}.SleepResponse"


def test_a_handlers_error_is_decoded(grpcurl: Grpcurl) -> None:
    answer = grpcurl.call(DIVIDE, {"dividend": 1})
    assert answer.error["code"] == 3
    info = detail(answer, INFO)
    assert info["reason"] == "DIVISION_BY_ZERO"
    assert info["domain"] == "taskwire.examples.v1.MathTasks"


def test_every_violation_is_decoded(grpcurl: Grpcurl) -> None:
    answer = grpcurl.call(THUMBNAIL, {"maxWidth": -1, "maxHeight": 5000})
    assert detail(answer, INFO)["reason"] == "FIELD_VIOLATION"
    violations = detail(answer, BAD_REQUEST)["field_violations"]
    assert isinstance(violations, list)
    assert [each["field"] for each in violations] == ["image", "max_width", "max_height"]


def test_an_unknown_type_names_its_neighbour(grpcurl: Grpcurl) -> None:
    request = {
        "type": "taskwire.examples.v1.MathTasks/Dvide",
        "input": {"@type": f"{ANY}.DivideRequest"},
    }
    answer = grpcurl.call(f"{TASKS}/SubmitTask", request)
    assert answer.error["code"] == 5
    assert "did you mean taskwire.examples.v1.MathTasks/Divide?" in answer.error["message"]


def test_misspelled_metadata_is_refused(grpcurl: Grpcurl) -> None:
    answer = grpcurl.call(DIVIDE, {"divisor": 1}, {"taskwire-requestid": "x"})
    assert detail(answer, INFO)["reason"] == "UNKNOWN_METADATA"


@pytest.mark.parametrize("service", ["", TASKS, "taskwire.examples.v1.MathTasks"])
def test_health_is_serving(grpcurl: Grpcurl, service: str) -> None:
    answer = grpcurl.call("grpc.health.v1.Health/Check", {"service": service})
    assert answer.json == {"status": "SERVING"}

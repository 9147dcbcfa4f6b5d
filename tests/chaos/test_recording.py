"""What a recording client writes down: of answers, of refusals, and of what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from taskwire.client import CallFailed
from taskwire.examples.v1 import demo_tasks_pb2, math_tasks_pb2
from taskwire.submission import submission
from tests.chaos.history import Record, UnreadableHistory, append, read
from tests.chaos.outcomes import outcome
from tests.chaos.recorder import Recorder, now
from tests.chaos.recording import RecordingClient
from tests.chaos.records import (
    Fail,
    Fault,
    FaultEnd,
    Invoke,
    Journal,
    Ok,
    Seen,
    Unknown,
    Watch,
    WatchEnd,
)
from tests.support.embedded import EmbeddedServer
from tests.support.processes import free_ports

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "history.jsonl", seed=7, lease_ttl_s=20, recovery_bound_s=60)
    yield made
    made.close()


@pytest.fixture
def client(recorder: Recorder, embedded: EmbeddedServer) -> Iterator[RecordingClient]:
    with RecordingClient(recorder, embedded.address) as made:
        yield made


def written(recorder: Recorder) -> list[Record]:
    return list(read(recorder.path).records)


def half(dividend: int = 8) -> math_tasks_pb2.DivideRequest:
    return math_tasks_pb2.DivideRequest(dividend=dividend, divisor=2)


def test_a_submission_is_written_down_before_it_is_sent_and_with_its_answer(
    recorder: Recorder, client: RecordingClient
) -> None:
    made = client.submit(half(), request_id="r1-of-a-submission")
    assert isinstance(made, Ok)
    invoke, answer = written(recorder)
    assert isinstance(invoke, Invoke)
    assert (invoke.call, invoke.request_id) == ("submit", "r1-of-a-submission")
    assert answer == made
    assert made.op == invoke.op
    assert made.told[0].version >= 1
    again = client.submit(half(), request_id="r1-of-a-submission")
    assert isinstance(again, Ok)
    assert again.told[0].task_id == made.told[0].task_id


def test_items_of_batches_and_streams_have_an_operation_each(
    recorder: Recorder, client: RecordingClient
) -> None:
    good, bad = submission(half()), submission(half(), type="no.Such/Type")
    refused = client.submit_batch([good, bad])
    assert [type(each) for each in refused] == [Fail, Fail]
    some = client.submit_batch([good, bad], allow_partial_success=True)
    assert [type(each) for each in some] == [Ok, Fail]
    streamed = list(client.submit_many([good, bad, good]))
    assert sorted(type(each).__name__ for each in streamed) == ["Fail", "Ok", "Ok"]
    invokes = [each for each in written(recorder) if isinstance(each, Invoke)]
    assert len({each.op for each in invokes}) == 7
    assert [each.group > 0 for each in invokes] == [True, True, *[False] * 5]
    assert len({each.input for each in invokes}) == 1


def test_a_durable_call_is_told_of_its_task_whether_it_succeeds_or_fails(
    client: RecordingClient,
) -> None:
    answer = math_tasks_pb2.DivideResponse
    quotient = client.call(DIVIDE, half(), answer)
    assert isinstance(quotient, Ok)
    assert quotient.told[0].state == "SUCCEEDED"
    seen = client.get(quotient.told[0].task_id)
    assert isinstance(seen, Ok)
    assert seen.told[0].result == quotient.told[0].result != ""
    impossible = client.call(DIVIDE, math_tasks_pb2.DivideRequest(dividend=1), answer)
    assert isinstance(impossible, Ok)
    assert impossible.told[0].state == "FAILED"
    assert impossible.reason == "DIVISION_BY_ZERO"
    unfinished = client.call(
        "taskwire.examples.v1.DemoTasks/Sleep",
        demo_tasks_pb2.SleepRequest(duration=Duration(seconds=5)),
        demo_tasks_pb2.SleepResponse,
        timeout_s=1,
    )
    assert isinstance(unfinished, Unknown)


def test_what_is_done_with_a_task_is_written_down(
    recorder: Recorder, client: RecordingClient
) -> None:
    later = client.submit(half(), delay=timedelta(hours=1))
    assert isinstance(later, Ok)
    task_id = later.told[0].task_id
    assert isinstance(client.delete(task_id), Fail)
    stopped = client.cancel(task_id)
    assert isinstance(stopped, Ok)
    assert (stopped.told[0].state, stopped.effective) == ("CANCELLED", True)
    assert isinstance(client.run(task_id), Fail)
    repeated = client.retry(task_id)
    assert isinstance(repeated, Ok)
    assert repeated.told[0].task_id != task_id
    listed = client.list_tasks("state = CANCELLED")
    assert isinstance(listed, Ok)
    assert task_id in {each.task_id for each in listed.told}
    ended = client.wait(repeated.told[0].task_id, 30)
    assert isinstance(ended, Ok)
    assert ended.told[0].state == "SUCCEEDED"
    assert isinstance(client.delete(task_id), Ok)
    assert isinstance(client.delete(task_id), Unknown), "a repetition finds nothing, either"
    calls = [each.call for each in written(recorder) if isinstance(each, Invoke)]
    assert calls == [
        *["submit", "delete", "cancel", "run", "retry", "list", "get", "delete", "delete"]
    ]


def test_watches_are_written_down_with_their_end(
    recorder: Recorder, client: RecordingClient
) -> None:
    made = client.submit(half())
    assert isinstance(made, Ok)
    task_id = made.told[0].task_id
    for _ in client.watch(task_id):
        pass
    for _ in client.watch_tasks([task_id]):
        pass
    left = client.watch_tasks(filter="state = SUCCEEDED")
    next(left)
    left.close()  # type: ignore[attr-defined]  # every generator has it
    with pytest.raises(CallFailed):
        next(client.watch("01a204ca-0279-741c-92ee-18aa2199ac24", after_version=3))
    records = written(recorder)
    ends = [each for each in records if isinstance(each, WatchEnd)]
    assert [(each.status, each.reason) for each in ends] == [
        ("OK", "TERMINAL"),
        ("OK", "TERMINAL"),
        ("LEFT", ""),
        ("NOT_FOUND", "TASK_NOT_FOUND"),
    ]
    for watch in [each for each in records if isinstance(each, Watch)][:2]:
        assert watch.task_ids == (task_id,)
        seen = [e for e in records if isinstance(e, Seen) and e.watch == watch.watch]
        assert seen[-1].state == "SUCCEEDED"
        assert seen[-1].result != ""


def test_nobody_knows_what_became_of_a_call_that_nobody_answers(recorder: Recorder) -> None:
    (port,) = free_ports(1)
    with RecordingClient(recorder, f"127.0.0.1:{port}", timeout_s=0.3) as lonely:
        assert isinstance(lonely.submit(half()), Unknown)
        assert [type(o) for o in lonely.submit_batch([submission(half())] * 2)] == [Unknown] * 2


def error(code: grpc.StatusCode, reason: str, domain: str = "taskwire.dev") -> CallFailed:
    status = status_pb2.Status()
    metadata = {"taskId": "t1"}
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    )
    return CallFailed(code, "", status)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
        (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
        (grpc.StatusCode.CANCELLED, ""),
    ],
)
def test_an_answer_that_leaves_it_open_is_unknown(code: grpc.StatusCode, reason: str) -> None:
    found = outcome(1, 0.0, "submit", error(code, reason))
    assert isinstance(found, Unknown)
    assert found.task_id == "t1"


def test_what_a_proxy_refuses_is_not_what_the_server_refuses() -> None:
    strange = error(grpc.StatusCode.RESOURCE_EXHAUSTED, "", domain="")
    assert isinstance(outcome(1, 0.0, "submit", strange), Unknown)
    full = error(grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_FULL")
    assert isinstance(outcome(1, 0.0, "submit", full), Fail)


def test_handlers_and_faults_write_into_the_same_file(recorder: Recorder) -> None:
    with recorder.fault("kill", "worker"):
        append(recorder.path, Journal(now(), "begin", "t1", 1))
    begun, journal, ended = written(recorder)
    assert isinstance(begun, Fault)
    assert journal.__class__ is Journal
    assert isinstance(ended, FaultEnd)
    assert ended.fault == begun.fault


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ('{"kind": "dumped", "at": 1}\n', 1),
        ("{header}\n\nnothing\n", 3),
        ("{header}\n{header}\n", 2),
        ('{header}\n{"kind": "canary", "text": "s", "more": 1}\n', 2),
        ('{header}\n{"kind": "event", "task_id": "", "version": 1, "state": "GONE"}\n', 2),
        ('{"kind": "header", "at": 0, "wall": 0, "seed": 1, "version": 9}\n', 1),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_its_line(
    tmp_path: Path, recorder: Recorder, text: str, line: int
) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_text(text.replace("{header}", recorder.path.read_text().strip()))
    with pytest.raises(UnreadableHistory) as refused:
        read(path)
    assert refused.value.line == line

"""Follow-ups of a submission: checked with it, shown with it, and every bad one named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.message import Message

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from tests.gateway.running import NOT_THERE, Running, Worker, refusal

PUBLISH = "acme.v1.Images/Publish"
REPORT = "acme.v1.Images/Report"
ON_SUCCESS = task_pb2.FOLLOW_UP_CONDITION_ON_SUCCESS
ON_FAILURE = task_pb2.FOLLOW_UP_CONDITION_ON_FAILURE
ALWAYS = task_pb2.FOLLOW_UP_CONDITION_ALWAYS

Condition: TypeAlias = task_pb2.FollowUpCondition.ValueType


def plan(
    input: Message,
    condition: Condition = ON_SUCCESS,
    outcome_field: str = "",
    follow_ups: Sequence[pb.FollowUp] = (),
    **fields: Any,  # of the request
) -> pb.FollowUp:
    made = pb.FollowUp(condition=condition, outcome_field=outcome_field)
    made.request.CopyFrom(pb.SubmitTaskRequest(follow_ups=follow_ups, **fields))
    made.request.input.Pack(input)
    return made


def publish(running: Running, **changed: Any) -> pb.FollowUp:
    """Shows the small picture."""
    message = running.message("acme.v1.PublishRequest", title="Small")
    return plan(**{"input": message, "outcome_field": "picture", **changed})


def report(running: Running, **changed: Any) -> pb.FollowUp:
    """Tells somebody how it went."""
    message = running.message("acme.v1.ReportRequest", to="a@acme.dev")
    return plan(**{"input": message, "condition": ALWAYS, "outcome_field": "task", **changed})


async def shown(running: Running, task_id: str) -> task_pb2.Task:
    return (await running.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task


async def test_a_success_hands_its_result_to_the_next_task(
    running: Running, worker: Worker
) -> None:
    task_id = await running.submitted(
        follow_ups=[publish(running), report(running, condition=ON_FAILURE)]
    )
    before = await shown(running, task_id)
    assert [(f.condition, f.type, f.task_id) for f in before.follow_ups] == [
        (ON_SUCCESS, PUBLISH, ""),
        (ON_FAILURE, REPORT, ""),
    ]

    small = running.message("acme.v1.ShrinkResponse", url="https://acme.dev/small.png")
    await worker.succeed(await worker.claim(task_id), small)

    first, second = (await shown(running, task_id)).follow_ups
    child = await shown(running, first.task_id)
    assert second.task_id == ""
    assert (child.type, child.parent, child.owner) == (PUBLISH, task_id, "dev")
    expected = running.message("acme.v1.PublishRequest", title="Small", picture=small)
    assert type(expected).FromString(child.input.value) == expected


async def test_a_failure_hands_the_ended_task_to_a_report(running: Running, worker: Worker) -> None:
    task_id = await running.submitted(follow_ups=[publish(running), report(running)])

    await worker.fail(await worker.claim(task_id), NOT_THERE)

    first, second = (await shown(running, task_id)).follow_ups
    child = await shown(running, second.task_id)
    assert first.task_id == ""
    found = running.message("acme.v1.ReportRequest")
    found.ParseFromString(child.input.value)
    ended: Any = found.task  # type: ignore[attr-defined]  # a dynamic message's field
    assert (ended.id, ended.state) == (task_id, task_pb2.TASK_STATE_FAILED)
    assert ended.error.status.message == "There is no such picture."
    assert ended.error.stack_trace == ""


async def test_a_cancelled_task_is_followed_by_what_always_follows(running: Running) -> None:
    always, failure = report(running), report(running, condition=ON_FAILURE)
    task_id = await running.submitted(follow_ups=[always, failure, publish(running)])

    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))

    made = (await shown(running, task_id)).follow_ups
    assert [bool(found.task_id) for found in made] == [True, False, False]


async def test_a_chain_goes_on_from_one_task_to_the_next(running: Running, worker: Worker) -> None:
    chain = publish(running, follow_ups=[report(running)])
    task_id = await running.submitted(follow_ups=[chain])
    small = running.message("acme.v1.ShrinkResponse", url="x")
    await worker.succeed(await worker.claim(task_id), small)
    (second,) = (await shown(running, task_id)).follow_ups
    nothing = running.message("acme.v1.PublishResponse")
    await worker.succeed(await worker.claim(second.task_id), nothing)

    (third,) = (await shown(running, second.task_id)).follow_ups
    assert (await shown(running, third.task_id)).parent == second.task_id


async def test_options_and_delay_of_a_follow_up_are_its_own(
    running: Running, worker: Worker
) -> None:
    plain = report(running, labels={"kind": "report"})
    plain.request.delay.FromTimedelta(timedelta(hours=1))
    plain.request.overrides.retry.max_attempts = 2
    task_id = await running.submitted(follow_ups=[plain])
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))

    (made,) = (await shown(running, task_id)).follow_ups
    child = await shown(running, made.task_id)
    assert child.state == task_pb2.TASK_STATE_SCHEDULED
    assert child.schedule_time.seconds - child.create_time.seconds in (3599, 3600)
    assert (child.options.retry.max_attempts, child.labels["kind"]) == (2, "report")


async def test_follow_ups_belong_to_the_content_of_a_request_id(running: Running) -> None:
    def request(*follow_ups: pb.FollowUp) -> pb.SubmitTaskRequest:
        return running.request(request_id="r", follow_ups=follow_ups)

    first = await running.tasks.SubmitTask(request(publish(running)))
    same = publish(running, type=PUBLISH)
    assert (await running.tasks.SubmitTask(request(same))).task.id == first.task.id
    for other in (
        request(),
        request(report(running)),
        request(publish(running), publish(running)),
        request(publish(running, labels={"a": "b"})),
        request(publish(running, follow_ups=[report(running)])),
    ):
        refused = await refusal(running.tasks.SubmitTask(other))
        assert refused.reason == "REQUEST_ID_REUSED"


async def test_a_batch_has_follow_ups(running: Running) -> None:
    requests = [running.request(follow_ups=[publish(running)]) for _ in range(3)]
    answer = await running.tasks.BatchSubmitTasks(pb.BatchSubmitTasksRequest(requests=requests))

    for result in answer.results:
        assert len((await shown(running, result.ok.task.id)).follow_ups) == 1


async def test_a_bad_follow_up_in_a_batch_is_named_by_its_whole_path(running: Running) -> None:
    bad = report(running, input=running.message("acme.v1.ReportRequest", to="nobody"))
    requests = [running.request(), running.request(follow_ups=[publish(running), bad])]

    refused = await refusal(
        running.tasks.BatchSubmitTasks(pb.BatchSubmitTasksRequest(requests=requests))
    )

    assert set(refused.violations) == {"requests[1].follow_ups[1].request.input.to"}


async def test_a_retried_task_is_followed_as_the_first_was(
    running: Running, worker: Worker
) -> None:
    task_id = await running.submitted(follow_ups=[report(running), publish(running)])
    await worker.fail(await worker.claim(task_id), NOT_THERE)

    again = (await running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id))).task.id

    found = await shown(running, again)
    assert [(f.type, f.task_id) for f in found.follow_ups] == [(REPORT, ""), (PUBLISH, "")]


def unspecified(running: Running) -> pb.FollowUp:
    return report(running, condition=task_pb2.FOLLOW_UP_CONDITION_UNSPECIFIED)


def unknown_condition(running: Running) -> pb.FollowUp:
    made = report(running)
    made.condition = 77  # type: ignore[assignment]  # as a newer client might
    return made


def of_no_type(running: Running) -> pb.FollowUp:
    return report(running, type="acme.v1.Images/Reprot")


def without_request(running: Running) -> pb.FollowUp:
    return pb.FollowUp(condition=ALWAYS)


def of_another_input(running: Running) -> pb.FollowUp:
    return report(running, type=PUBLISH, outcome_field="")


def malformed(running: Running) -> pb.FollowUp:
    made = publish(running)
    made.request.input.value = b"\xff\xff"
    return made


def breaking_its_rules(running: Running) -> pb.FollowUp:
    return publish(running, input=running.message("acme.v1.PublishRequest"))


def without_its_required_field(running: Running) -> pb.FollowUp:
    return publish(running, outcome_field="")


def with_a_request_id(running: Running) -> pb.FollowUp:
    return report(running, request_id="mine")


def that_only_validates(running: Running) -> pb.FollowUp:
    return report(running, validate_only=True)


def that_requires_a_worker(running: Running) -> pb.FollowUp:
    return report(running, require_worker=True)


def into_no_field(running: Running) -> pb.FollowUp:
    return report(running, outcome_field="taks")


def into_a_string(running: Running) -> pb.FollowUp:
    return report(running, outcome_field="to")


def into_a_list(running: Running) -> pb.FollowUp:
    return report(running, outcome_field="pictures", condition=ON_SUCCESS)


def into_another_message(running: Running) -> pb.FollowUp:
    return report(running, outcome_field="drawing", condition=ON_SUCCESS)


def result_of_a_failure(running: Running) -> pb.FollowUp:
    return publish(running, condition=ALWAYS)


def into_what_is_set(running: Running) -> pb.FollowUp:
    small = running.message("acme.v1.ShrinkResponse", url="x")
    message = running.message("acme.v1.PublishRequest", title="Small", picture=small)
    return publish(running, input=message)


def with_bad_options(running: Running) -> pb.FollowUp:
    made = report(running)
    made.request.overrides.retry.max_attempts = 9_999
    return made


def with_two_times(running: Running) -> pb.FollowUp:
    made = report(running)
    made.request.delay.FromTimedelta(timedelta(1))
    made.request.schedule_time.FromJsonString("2027-01-01T00:00:00Z")
    return made


def too_far_ahead(running: Running) -> pb.FollowUp:
    made = report(running)
    made.request.delay.FromTimedelta(timedelta(days=400))
    return made


def too_large(running: Running) -> pb.FollowUp:
    title = "x" * 2_100
    return publish(running, input=running.message("acme.v1.PublishRequest", title=title))


@pytest.mark.parametrize(
    ("bad", "reason", "path", "says"),
    [
        (unspecified, "FIELD_VIOLATION", "condition", "required"),
        (unknown_condition, "FIELD_VIOLATION", "condition", "defined"),
        (without_request, "FIELD_VIOLATION", "request", "required"),
        (of_no_type, "TASK_TYPE_NOT_FOUND", "request.type", "did you mean acme.v1.Images/Report"),
        (of_another_input, "WRONG_INPUT_TYPE", "request.input", "takes a acme.v1.PublishRequest"),
        (malformed, "MALFORMED_REQUEST", "request.input", "wire form"),
        (breaking_its_rules, "FIELD_VIOLATION", "request.input.title", "at least 1"),
        (without_its_required_field, "FIELD_VIOLATION", "request.input.picture", "required"),
        (with_a_request_id, "INVALID_FOLLOW_UP", "request.request_id", "must not be set"),
        (that_only_validates, "INVALID_FOLLOW_UP", "request.validate_only", "must not be set"),
        (that_requires_a_worker, "INVALID_FOLLOW_UP", "request.require_worker", "must not be set"),
        (
            into_no_field,
            "INVALID_FOLLOW_UP",
            "outcome_field",
            "no single message of acme.v1.ReportRequest",
        ),
        (into_a_string, "INVALID_FOLLOW_UP", "outcome_field", "names no single message"),
        (into_a_list, "INVALID_FOLLOW_UP", "outcome_field", "names no single message"),
        (into_another_message, "INVALID_FOLLOW_UP", "outcome_field", "takes a acme.v1.Shrink"),
        (result_of_a_failure, "INVALID_FOLLOW_UP", "outcome_field", "use ON_SUCCESS"),
        (into_what_is_set, "INVALID_FOLLOW_UP", "outcome_field", "sets already"),
        (with_bad_options, "FIELD_VIOLATION", "request.overrides.retry.max_attempts", "1000"),
        (with_two_times, "CONFLICTING_FIELDS", "request", "only one"),
        (too_far_ahead, "TIME_OUT_OF_RANGE", "request.delay", "366 days"),
        (too_large, "PAYLOAD_TOO_LARGE", "request.input", "at most 2000"),
    ],
)
async def test_a_bad_follow_up_is_refused_with_its_path(
    running: Running, bad: Callable[[Running], pb.FollowUp], reason: str, path: str, says: str
) -> None:
    for nested in (False, True):
        plans = [publish(running), bad(running)]
        place = f"follow_ups[1].{path}"
        if nested:
            # The same as a follow-up of a Shrink that follows.
            plans = [plan(running.shrink(), follow_ups=plans)]
            place = f"follow_ups[0].request.{place}"

        refused = await refusal(running.tasks.SubmitTask(running.request(follow_ups=plans)))

        expected = "NOT_FOUND" if reason.endswith("NOT_FOUND") else "INVALID_ARGUMENT"
        assert (refused.code, refused.reason) == (grpc.StatusCode[expected], reason)
        assert place in refused.violations
        assert says in refused.violations[place]
    assert sum(running.foundation.reader.counts().values()) == 0


async def test_everything_that_is_wrong_is_said_at_once(running: Running) -> None:
    request = running.request(
        input=running.shrink(width=0),
        follow_ups=[breaking_its_rules(running), into_no_field(running), unspecified(running)],
    )

    refused = await refusal(running.tasks.SubmitTask(request))

    assert refused.reason == "FIELD_VIOLATION"
    assert set(refused.violations) == {
        "input.width",
        "follow_ups[0].request.input.title",
        "follow_ups[1].outcome_field",
        "follow_ups[2].condition",
    }


def chain(running: Running, length: int) -> pb.FollowUp:
    return plan(running.shrink(), follow_ups=[chain(running, length - 1)] if length > 1 else [])


async def test_a_chain_may_be_ten_long_and_no_longer(running: Running) -> None:
    await running.submitted(follow_ups=[chain(running, 10)])

    refused = await refusal(running.submitted(follow_ups=[chain(running, 11)]))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "CHAIN_TOO_LONG",
    )
    assert refused.violations == {"follow_ups": "are 11 one after another; at most 10 are allowed"}
    assert "submit fewer" in refused.message


async def test_a_task_may_have_a_hundred_follow_ups_and_no_more(running: Running) -> None:
    def bare(count: int) -> list[pb.FollowUp]:
        return [pb.FollowUp() for _ in range(count)]

    ten = [pb.FollowUp(request=pb.SubmitTaskRequest(follow_ups=bare(9))) for _ in range(10)]
    hundred = await refusal(running.submitted(follow_ups=ten))
    more = await refusal(running.submitted(follow_ups=[*ten, *bare(1)]))

    assert hundred.reason == "FIELD_VIOLATION"
    assert more.reason == "CHAIN_TOO_LONG"
    assert more.violations == {"follow_ups": "are more than 100 in all"}


async def test_all_follow_ups_together_have_a_size(running: Running) -> None:
    message = running.message("acme.v1.PublishRequest", title="x" * 1_900)
    large = [publish(running, input=message) for _ in range(5)]

    refused = await refusal(running.submitted(follow_ups=large))

    assert refused.reason == "PAYLOAD_TOO_LARGE"
    assert "at most 8000" in refused.violations["follow_ups"]

"""What a handler submits: checked like anybody's submission, recorded once over all attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.message import Message
from msgspec.structs import replace

from taskwire import FollowUp, TaskContext, errors
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core.errors import StoreUnavailable
from taskwire_core.follow_up import MAX_GENERATIONS, Condition
from taskwire_core.ids import from_text, to_text
from taskwire_core.task import Task
from taskwire_worker.ports import AttemptOver, KeyReused
from taskwire_worker.submissions import Submissions
from tests.support.failpoints import armed
from tests.unit.worker import fakes

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"


class Office:
    """The submissions of one task, attempt by attempt."""

    def __init__(self) -> None:
        self.ledger = fakes.FakeLedger()
        self.parent: Task = self.another()
        self._submissions = Submissions(fakes.preparation(), self.ledger)

    def another(self) -> Task:
        """A task that runs here."""
        return self.ledger.running(fakes.queued_task(DIVIDE, DivideRequest()))

    def attempt(self) -> TaskContext:
        return TaskContext(
            id=to_text(self.parent.id),
            type=DIVIDE,
            attempt=1,
            submit=self._submissions.submitter(self.parent),
        )


@pytest.fixture
def office() -> Office:
    return Office()


def divide(dividend: float) -> Message:
    return DivideRequest(dividend=dividend, divisor=1)


def test_what_is_submitted_belongs_to_the_parents_owner_and_names_the_parent(
    office: Office,
) -> None:
    made = office.attempt().submit(divide(1), labels={"of": "somebody"})

    (child,) = office.ledger.children
    assert to_text(child.id) == made
    assert (child.type, child.owner, child.labels) == (DIVIDE, "somebody", {"of": "somebody"})
    assert (child.parent, child.generation) == (office.parent.id, 1)


def test_another_attempt_is_given_the_same_tasks_in_whatever_order(office: Office) -> None:
    first, second = office.attempt(), office.attempt()
    made = [first.submit(divide(n)) for n in (1, 2, 2)]

    again = [second.submit(divide(n)) for n in (2, 1, 2)]

    assert len(set(made)) == 3
    assert again == [made[1], made[0], made[2]]


def test_what_an_attempt_has_not_submitted_before_is_a_new_task(office: Office) -> None:
    office.attempt().submit(divide(1))
    office.attempt().submit(divide(1), delay=timedelta(seconds=1))
    office.attempt().submit(divide(1), labels={"a": "b"})

    assert len(office.ledger.children) == 3


def test_the_type_may_be_named_or_left_out(office: Office) -> None:
    named, unnamed = office.attempt(), office.attempt()

    assert named.submit(divide(1), type=DIVIDE) == unnamed.submit(divide(1), type=DIVIDE)
    assert named.submit(divide(2)) != unnamed.submit(divide(3))


def test_a_key_names_the_submission(office: Office) -> None:
    context = office.attempt()

    assert context.submit(divide(1), key="a") != context.submit(divide(1), key="b")
    assert context.submit(divide(1), key="a") == office.attempt().submit(divide(1), key="a")


def test_two_tasks_share_no_key(office: Office) -> None:
    first = office.attempt().submit(divide(1), key="a")
    office.parent = office.another()

    assert office.attempt().submit(divide(1), key="a") != first


async def test_a_coroutine_awaits_its_submission(office: Office) -> None:
    context = office.attempt()

    made = await context.submit_async(divide(1))

    assert from_text(made) == office.ledger.children[0].id
    with pytest.raises(RuntimeError, match="submit_async"):
        context.submit(divide(1))


def test_an_input_that_breaks_its_rules_is_the_handlers_error(office: Office) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"input\.max_width") as refused:
        office.attempt().submit(MakeThumbnailRequest(image=b"x", max_width=-1))

    assert refused.value.reason == "FIELD_VIOLATION"
    assert "input.max_width" in refused.value.metadata
    assert not refused.value.retryable
    assert office.ledger.children == []


def test_a_type_that_nobody_has_is_the_handlers_error(office: Office) -> None:
    with pytest.raises(errors.NotFound, match=f"did you mean {DIVIDE}") as refused:
        office.attempt().submit(divide(1), type="taskwire.examples.v1.MathTasks/Devide")

    assert refused.value.reason == "TASK_TYPE_NOT_FOUND"


def test_a_message_that_is_no_input_is_the_handlers_error(office: Office) -> None:
    with pytest.raises(errors.NotFound, match="DivideResponse"):
        office.attempt().submit(DivideResponse())
    with pytest.raises(errors.InvalidArgument) as refused:
        office.attempt().submit(DivideResponse(), type=DIVIDE)

    assert refused.value.reason == "WRONG_INPUT_TYPE"


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (KeyReused(), errors.AlreadyExists),
        (AttemptOver(), errors.Cancelled),
        (StoreUnavailable("away"), errors.Unavailable),
        (ZeroDivisionError("a defect"), errors.Internal),
    ],
)
def test_what_the_store_says_is_the_handlers_error(
    office: Office, problem: Exception, error: type[errors.HandlerError]
) -> None:
    office.ledger.submission_fails = problem

    with pytest.raises(error) as seen:
        office.attempt().submit(divide(1))

    assert "defect" not in seen.value.message


def test_a_handler_that_submits_itself_for_ever_comes_to_an_end(office: Office) -> None:
    office.parent = replace(office.parent, generation=MAX_GENERATIONS - 1)
    office.attempt().submit(divide(1))

    office.parent = replace(office.parent, generation=MAX_GENERATIONS)
    with pytest.raises(errors.InvalidArgument) as refused:
        office.attempt().submit(divide(1))

    assert refused.value.reason == "CHAIN_TOO_LONG"
    assert not refused.value.retryable


def test_what_is_submitted_may_be_followed(office: Office) -> None:
    mail = FollowUp("failure", divide(2), labels={"why": "it failed"})
    office.attempt().submit(divide(1), follow_ups=[mail])

    ((planned,),) = [child.follow_ups for child in office.ledger.children]
    assert (planned.condition, planned.type, planned.labels) == (
        Condition.ON_FAILURE,
        DIVIDE,
        {"why": "it failed"},
    )


def test_what_follows_counts_as_generations(office: Office) -> None:
    office.parent = replace(office.parent, generation=MAX_GENERATIONS - 1)

    with pytest.raises(errors.InvalidArgument) as refused:
        office.attempt().submit(divide(1), follow_ups=[FollowUp("always", divide(2))])

    assert refused.value.reason == "CHAIN_TOO_LONG"


def test_a_follow_up_on_nothing_is_refused(office: Office) -> None:
    with pytest.raises(ValueError, match="sometimes"):
        office.attempt().submit(divide(1), follow_ups=[FollowUp("sometimes", divide(2))])


def test_a_test_sees_what_its_handler_submits() -> None:
    context = TaskContext.for_test()

    made = context.submit(divide(1), key="k", delay=timedelta(seconds=2))

    (seen,) = context.submissions
    assert from_text(made)
    assert (seen.request_id, seen.delay.seconds) == ("k", 2)
    assert seen.input.type_url.endswith("/taskwire.examples.v1.DivideRequest")


def test_a_context_without_a_worker_cannot_submit() -> None:
    with pytest.raises(RuntimeError, match="cannot submit"):
        TaskContext(id="x", type=DIVIDE, attempt=1).submit(divide(1))


def test_a_defect_does_not_leave_the_handler_waiting(office: Office) -> None:
    with armed("run.submitted:error"), pytest.raises(errors.Internal):
        office.attempt().submit(divide(1))

    assert office.attempt().submit(divide(1)) == to_text(office.ledger.children[0].id)

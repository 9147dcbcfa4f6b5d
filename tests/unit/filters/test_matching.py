"""What filters say of tasks, and of all tasks that one counter counts."""

from __future__ import annotations

import pytest

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.filters import Cohort, decide, matches
from taskwire_core.filters.parsing import parse
from taskwire_core.lifecycle import State
from tests.support.tasks import task

CRASHED = Failure(
    FailureKind.APPLICATION, Code.NOT_FOUND, "GONE", "It is gone.", type="acme.io.Gone"
)
LATE = Failure(FailureKind.TIMEOUT, Code.DEADLINE_EXCEEDED, "TASK_TIMED_OUT", "Too long.")

failed = task(
    state=State.FAILED,
    type="acme.images.v1.ImageTasks/MakeThumbnail",
    labels={"customer": "acme", "team.name-x": "blue", "none": ""},
    attempt=3,
    end_time_us=5_000_000,
    failure=CRASHED,
)
late = task(state=State.FAILED, failure=LATE, end_time_us=5_000_000)
retrying = task(state=State.RETRYING, failure=CRASHED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state = FAILED",
        "state != QUEUED",
        "type = acme.images.v1.ImageTasks/MakeThumbnail",
        "type:acme",
        "type:acme.images",
        "type:acme.images.v1.ImageTasks",
        "type:acme.images.v1.ImageTasks/MakeThumbnail",
        "queue = thumbnails",
        "owner = ann",
        "labels.customer = acme",
        "labels.customer:acme",
        "labels.customer:*",
        'labels."team.name-x" = blue',
        "labels.none:* AND labels.none = ''",
        "labels.other != acme",
        "NOT labels.other:*",
        "attempt = 3 AND attempt < 4 AND attempt <= 3 AND attempt > 2 AND attempt >= 3",
        "error.type = acme.io.Gone AND error.type:acme.io AND error.type:*",
        "error.kind = APPLICATION AND error.kind:*",
        "create_time = 1970-01-01T00:00:01Z AND update_time > 1970-01-01T00:00:01Z",
        "end_time:* AND end_time <= 1970-01-01T00:00:05Z",
        "state = QUEUED OR attempt = 3",
        "NOT (state = QUEUED AND attempt = 3)",
    ],
)
def test_a_task_matches(text: str) -> None:
    assert matches(failed, parse(text))
    assert not matches(failed, parse(f"NOT ({text})" if text else "state = QUEUED"))


@pytest.mark.parametrize(
    "text",
    [
        "type:acme.image",
        "type:acme.images.v1.ImageTasks/Make",
        "type:ACME",
        "type = acme.images",
        "labels.customer = ACME",
        "labels.customer = ''",
        "error.type:acme.io.Go",
        "labels.other = '' OR labels.other:*",
    ],
)
def test_a_task_does_not_match(text: str) -> None:
    assert not matches(failed, parse(text))


@pytest.mark.parametrize("text", ["error.type:*", "error.kind = APPLICATION", "end_time:*"])
def test_the_error_of_an_attempt_is_not_that_of_its_task(text: str) -> None:
    assert not matches(retrying, parse(text))


def test_an_error_without_a_type_has_a_kind_only() -> None:
    assert matches(late, parse("error.kind = TIMEOUT AND NOT error.type:* AND error.type != ''"))


@pytest.mark.parametrize(
    "text",
    [
        "labels.other = x",
        "error.type = x",
        "end_time < 2026-01-01T00:00:00Z",
        "error.kind = POISON",
    ],
)
def test_of_a_field_that_is_not_set_every_comparison_is_false_but_not_equal(text: str) -> None:
    assert not matches(retrying, parse(text))
    assert matches(retrying, parse(f"NOT {text}"))


COHORT = Cohort("acme.v1.Images/Shrink", "images", "ann", State.SUCCEEDED)


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("", True),
        ("state = SUCCEEDED AND type:acme AND queue = images AND owner = ann", True),
        ("state != SUCCEEDED", False),
        ("type = other OR queue = images", True),
        ("labels.a = b", None),
        ("attempt > 1", None),
        ("create_time > 2026-01-01T00:00:00Z", None),
        ("labels.a = b AND state = FAILED", False),
        ("labels.a = b AND state = SUCCEEDED", None),
        ("labels.a = b OR state = SUCCEEDED", True),
        ("labels.a = b OR state = FAILED", None),
        ("NOT labels.a = b", None),
        ("NOT (labels.a = b AND state = FAILED)", True),
        # Only a FAILED task has an error, and only an ended one an end.
        ("error.type = x", False),
        ("error.kind != TIMEOUT", True),
        ("end_time > 2026-01-01T00:00:00Z", None),
    ],
)
def test_a_filter_may_be_decided_for_a_whole_cohort(text: str, decided: bool | None) -> None:
    assert decide(COHORT, parse(text)) is decided


def test_a_waiting_cohort_has_no_end_time() -> None:
    waiting = Cohort("acme.v1.Images/Shrink", "images", "ann", State.QUEUED)
    assert decide(waiting, parse("end_time > 2026-01-01T00:00:00Z")) is False

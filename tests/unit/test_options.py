"""Options: merged field by field, and every problem told at once."""

from __future__ import annotations

from datetime import timedelta

from taskwire_core.options import (
    OptionOverrides,
    Priority,
    RetryOverrides,
    RetryPolicy,
    TaskOptions,
    merge,
    problems,
)


def test_what_is_not_set_keeps_its_default() -> None:
    options = TaskOptions(queue="q")
    assert merge(options, OptionOverrides()) is options


def test_overrides_replace_field_by_field_the_retry_policy_included() -> None:
    options = TaskOptions(queue="q", retry=RetryPolicy(max_attempts=7, jitter=0.5))
    merged = merge(
        options, OptionOverrides(priority=Priority.HIGH, retry=RetryOverrides(jitter=0.0))
    )
    assert merged.priority == Priority.HIGH
    assert merged.retry == RetryPolicy(max_attempts=7, jitter=0.0)
    assert merged.queue == "q"


def test_the_defaults_are_valid() -> None:
    assert problems(TaskOptions(queue="acme.images.v1.ImageTasks")) == []


def test_every_problem_is_told_at_once() -> None:
    wrong = TaskOptions(
        queue="no spaces",
        retry=RetryPolicy(max_attempts=0, backoff_multiplier=0.5, jitter=2),
        attempt_timeout=timedelta(0),
        start_timeout=timedelta(days=400),
    )
    assert {problem.path for problem in problems(wrong)} == {
        "queue",
        "retry.max_attempts",
        "retry.backoff_multiplier",
        "retry.jitter",
        "attempt_timeout",
        "start_timeout",
    }


def test_at_most_once_excludes_retries() -> None:
    (problem,) = problems(TaskOptions(queue="q", at_most_once=True))
    assert problem.path == "retry.max_attempts"
    assert "at_most_once" in problem.message

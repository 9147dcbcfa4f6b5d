"""`--on-success`, `--on-failure` and `--then` of `taskwire submit`: what follows the task."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from google.protobuf.message import Message

from taskwire.client import FollowUp, When

Command = TypeVar("Command", bound=Callable[..., Any])

_EXAMPLE = """acme.v1.Pictures/Publish:picture='{"title": "Small"}'"""
_PLAN = re.compile(r"(?P<type>[^:=\s]+)(?::(?P<field>\w+))?(?:=(?P<json>.+))?", re.DOTALL)

_HELP = {
    When.SUCCESS: "Submit another task when this one has succeeded. May be repeated, as the next.",
    When.FAILURE: "The same when it has failed or expired.",
    When.ALWAYS: "The same when it has ended, cancelled or not.",
}
_NAMES = {When.SUCCESS: "on-success", When.FAILURE: "on-failure", When.ALWAYS: "then"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person typed: the type, the field that takes the outcome, the rest of the input."""

    type: str
    outcome_field: str
    json: str


class PlanType(click.ParamType[Plan]):
    """`TYPE[:FIELD][=JSON]`."""

    name = "follow-up"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Plan:
        if isinstance(value, Plan):
            return value
        found = _PLAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} must be TYPE:FIELD=JSON, for example {_EXAMPLE}", param, ctx)
        return Plan(found["type"], found["field"] or "", found["json"] or "{}")


def follow_up_options(command: Command) -> Command:
    """Adds the three options, as `on_success`, `on_failure` and `then`."""
    for when in reversed(When):
        option = click.option(
            f"--{_NAMES[when]}",
            type=PlanType(),
            metavar="TYPE[:FIELD][=JSON]",
            multiple=True,
            help=_HELP[when],
        )
        command = option(command)
    return command


def follow_ups(
    read: Callable[[str, str], Message], plans: Sequence[tuple[When, Sequence[Plan]]]
) -> list[FollowUp]:
    """The follow-ups in `plans`; `read` makes the input of a type out of what was typed."""
    return [
        FollowUp(when, read(plan.type, plan.json), plan.type, plan.outcome_field)
        for when, some in plans
        for plan in some
    ]

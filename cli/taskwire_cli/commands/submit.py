"""`taskwire submit`: a task from JSON, files and options, without any generated code."""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from google.protobuf.message import Message

from taskwire.client import Client, UnknownName, When
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli.bytes_fields import check_field, put_files
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import EXIT_CODES_HELP, Exit, Stop
from taskwire_cli.follow_up_options import Plan, follow_up_options, follow_ups
from taskwire_cli.following import follow
from taskwire_cli.outcome import exit_code, output_option, print_task, write_outputs
from taskwire_cli.override_options import override_options, overrides
from taskwire_cli.values import Duration, Pair, Time, text_of

_AT = "Start it then: 2027-01-31T09:00, local time unless it says Z or an offset."
_HELP = f"""Submit a task of TYPE, a "package.Service/Method" that `taskwire types` lists.

JSON is the method's request in protobuf's JSON form: text, @FILE, or - for standard input. Without
it the request is empty. Files fill its bytes fields, named by their path: image, page.scan or
attachments[0].content.

\b
Examples:
  taskwire submit taskwire.examples.v1.MathTasks/Divide '{{"dividend": 84, "divisor": 2}}' --wait
  taskwire submit taskwire.examples.v1.ImageTasks/MakeThumbnail '{{"maxWidth": 128}}' \\
    --field-file image=picture.jpg --output image=small.png
  taskwire submit taskwire.examples.v1.DemoTasks/Sleep '{{"duration": "20s"}}' --delay 5m \\
    --label customer=acme --request-id nightly-2027-01-31
  taskwire submit taskwire.examples.v1.EmailTasks/SendEmail @mail.json \\
    --field-file 'attachments[0].content=invoice.pdf'
  taskwire submit taskwire.examples.v1.MathTasks/Divide '{{"dividend": 84, "divisor": 2}}' \\
    --on-failure taskwire.examples.v1.EmailTasks/SendEmail=@mail.json

--on-success, --on-failure and --then name the type of another task and its request. FIELD is the
field of that request that takes the outcome of the first task: its result, or with a field of type
taskwire.v1.Task the ended task.

{EXIT_CODES_HELP}
"""


@click.command(help=_HELP)
@click.argument("type")
@click.argument("json", default="{}")
@click.option(
    "--field-file",
    "-f",
    "files",
    type=Pair("image=picture.jpg"),
    metavar="FIELD=FILE",
    multiple=True,
    help="Fill a bytes field of the request with a file's content. May be repeated.",
)
@click.option("--wait", is_flag=True, help="Wait for the task's end and show its outcome.")
@click.option(
    "--watch", is_flag=True, help="Follow the task until its end, as `taskwire watch` does."
)
@click.option(
    "--timeout", type=Duration(), help="Wait no longer than this, such as 30s; the task goes on."
)
@output_option
@click.option("--request-id", help="Submitting again with the same id returns the first task.")
@click.option(
    "--label",
    "labels",
    type=Pair("customer=acme"),
    metavar="NAME=VALUE",
    multiple=True,
    help="Label the task. May be repeated.",
)
@click.option("--delay", type=Duration(), help="Start it this much later, such as 90s or 2h.")
@click.option("--at", "schedule_time", type=Time(), help=_AT)
@override_options
@follow_up_options
@click.option("--require-worker", is_flag=True, help="Refuse it when nobody can run it now.")
@click.option("--validate-only", is_flag=True, help="Check everything and submit nothing.")
@json_option
@address_option
def submit(
    type: str,
    json: str,
    files: tuple[tuple[str, str], ...],
    output: tuple[tuple[str, str], ...],
    wait: bool,
    watch: bool,
    timeout: timedelta | None,
    as_json: bool,
    address: str | None,
    **options: Any,  # the rest of the options above, see _send
) -> int:
    """Submit, and with --wait, --watch, --timeout or --output wait for the outcome."""
    waits = wait or timeout is not None
    if watch and waits:
        raise click.UsageError("--watch follows the task until its end: leave --wait and --timeout")
    if options["validate_only"] and (waits or watch or output):
        raise click.UsageError("--validate-only submits nothing that could be waited for")
    with connected(address) as client:
        message = _input(client, type, json, files)
        _check_outputs(client, type, output)
        answer = _send(client, type, message, **options)
        _tell_if_past(options["schedule_time"], answer)
        if not (waits or watch or output):
            _show(client, answer, as_json=as_json)
            return Exit.OK
        if watch:
            task = _watched(client, answer, as_json=as_json, to_its_end=bool(output))
        else:
            task = client.wait(answer.task.id, timeout.total_seconds() if timeout else None)
            print_task(task, client.schema, as_json=as_json)
        write_outputs(task, output, client.schema)
        return exit_code(task)


def _input(client: Client, type: str, json: str, files: tuple[tuple[str, str], ...]) -> Message:
    try:
        message = client.input_message(type, text_of(json))
    except UnknownName:
        known = [each.name for each in client.types()]
        raise Stop(_unknown_type(type, known, client.target)) from None
    except ValueError as error:
        raise Stop(f"the JSON is not the input of {type}: {error}") from None
    put_files(message, files)
    return message


def _unknown_type(type: str, known: list[str], target: str) -> str:
    near = [name for name in known if name.endswith(f"/{type.rpartition('/')[2]}")]
    near += difflib.get_close_matches(type, known, n=3, cutoff=0.85)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "see: taskwire types"
    return f"the server at {target} has no task type {type}; {hint}"


def _check_outputs(client: Client, type: str, outputs: tuple[tuple[str, str], ...]) -> None:
    """Refuse a misspelled --output before there is a task, not after it."""
    for field, _ in outputs:
        result = client.schema.method(type).output_type.full_name
        check_field(client.schema.message(result), field)


def _send(
    client: Client,
    type: str,
    message: Message,
    *,
    request_id: str | None,
    labels: tuple[tuple[str, str], ...],
    delay: timedelta | None,
    schedule_time: datetime | None,
    on_success: tuple[Plan, ...],
    on_failure: tuple[Plan, ...],
    then: tuple[Plan, ...],
    require_worker: bool,
    validate_only: bool,
    **overriding: Any,  # those of override_options
) -> task_service_pb2.SubmitTaskResponse:
    return client.submit(
        message,
        type=type,
        request_id=request_id,
        labels=dict(labels),
        delay=delay,
        schedule_time=schedule_time,
        overrides=overrides(**overriding),
        follow_ups=follow_ups(
            lambda name, text: _input(client, name, text, ()),
            [(When.SUCCESS, on_success), (When.FAILURE, on_failure), (When.ALWAYS, then)],
        ),
        validate_only=validate_only,
        require_worker=require_worker,
    )


def _tell_if_past(
    schedule_time: datetime | None, answer: task_service_pb2.SubmitTaskResponse
) -> None:
    created = answer.disposition == task_service_pb2.SubmitTaskResponse.DISPOSITION_CREATED
    if created and schedule_time is not None and schedule_time < datetime.now(UTC):
        print("taskwire: that time has passed; the task is due now", file=sys.stderr)


def _show(client: Client, answer: task_service_pb2.SubmitTaskResponse, *, as_json: bool) -> None:
    if as_json:
        print_task(answer.task, client.schema, as_json=True)
    elif answer.disposition == task_service_pb2.SubmitTaskResponse.DISPOSITION_VALIDATED:
        print("The task is valid. Nothing was submitted.")
    else:
        print(_submitted(answer))
        print(f"Follow it with: taskwire watch {answer.task.id}")


def _watched(
    client: Client,
    answer: task_service_pb2.SubmitTaskResponse,
    *,
    as_json: bool,
    to_its_end: bool,
) -> task_pb2.Task:
    """The task as it ended, with `to_its_end` also when nobody reads any more."""
    try:
        if not as_json:
            print(_submitted(answer), flush=True)
        return follow(client, answer.task.id, as_json=as_json)
    except BrokenPipeError:
        if not to_its_end:
            raise
        return client.wait(answer.task.id)


def _submitted(answer: task_service_pb2.SubmitTaskResponse) -> str:
    existing = answer.disposition == task_service_pb2.SubmitTaskResponse.DISPOSITION_EXISTING
    return f"{answer.task.id}  {'submitted before' if existing else 'submitted'}"

"""A task followed until its end: on the screen, or as one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator

from taskwire.client import Client
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli.exits import Exit, Stop
from taskwire_cli.interruptions import Interruptions
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.live import Screen


def follow(client: Client, id: str, *, after_version: int = 0, as_json: bool) -> task_pb2.Task:
    """The task as it ended; what came after `after_version` was shown meanwhile.

    Raises:
        Stop: the task was deleted before its end was seen.
    """
    show = _print_json if as_json else _show
    last = show(client, id, after_version)
    if last is None and after_version:
        # The end itself may be what the caller has seen already.
        last = client.get(id, task_pb2.TASK_VIEW_BASIC)
    if last is None:
        raise Stop(f"the task {id} was deleted before its end was seen", Exit.REFUSED)
    return last


def _print_json(client: Client, id: str, after_version: int) -> task_pb2.Task | None:
    last = None
    for event in _events(client, id, after_version, Interruptions()):
        if event.WhichOneof("kind") == "task":
            last = event.task
            print_json({"task": message_json(event.task, client.schema)}, one_line=True)
        else:
            print_json(message_json(event, client.schema), one_line=True)
    return last


def _show(client: Client, id: str, after_version: int) -> task_pb2.Task | None:
    last = None
    with Screen() as screen:
        for event in _events(client, id, after_version, Interruptions(screen.say)):
            match event.WhichOneof("kind"):
                case "task":
                    last = event.task
                    screen.changed(event.task, message_json(event.task, client.schema))
                case "progress":
                    screen.progressed(event.progress.progress)
                case "heartbeat":
                    screen.waits(event.heartbeat.pending_reason)
    return last


def _events(
    client: Client, id: str, after_version: int, interruptions: Interruptions
) -> Iterator[task_service_pb2.WatchTaskResponse]:
    note = interruptions.note
    return interruptions.over(client.watch(id, after_version=after_version, on_interruption=note))

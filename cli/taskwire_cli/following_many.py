"""Many tasks followed in one stream: a line for each change, or one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from taskwire.client import Client
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli.exits import Exit
from taskwire_cli.interruptions import Interruptions
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.live import about
from taskwire_cli.tables import clock_text, console, on_one_line, progress_text, state_text

Event = task_service_pb2.WatchTasksResponse

_STATE_WIDTH = 11


def follow_many(client: Client, ids: Sequence[str], text: str, *, as_json: bool) -> Exit:
    """What the command answers once all of `ids` have ended: whether all have SUCCEEDED."""
    interruptions = Interruptions()
    events = client.watch_tasks(ids, filter=text, on_interruption=interruptions.note)
    show = _Json(client) if as_json else _Lines(client)
    ends = dict.fromkeys(map(str.lower, ids), task_pb2.TASK_STATE_UNSPECIFIED)
    for event in _noted(interruptions.over(events), ends):
        show.event(event)
    succeeded = all(state == task_pb2.TASK_STATE_SUCCEEDED for state in ends.values())
    return Exit.OK if succeeded else Exit.TASK_FAILED


def _noted(
    events: Iterator[Event], ends: dict[str, task_pb2.TaskState.ValueType]
) -> Iterator[Event]:
    for event in events:
        if event.task.id in ends:
            ends[event.task.id] = event.task.state
        yield event


class _Json:
    """One message a line."""

    def __init__(self, client: Client) -> None:
        self._schema = client.schema

    def event(self, event: Event) -> None:
        """Print it."""
        if event.HasField("task"):
            shown = {
                "task": message_json(event.task, self._schema),
                "resumeToken": event.resume_token,
            }
        else:
            shown = message_json(event, self._schema)
        print_json(shown, one_line=True)


class _Lines:
    """A line for people, where there is something to tell."""

    def __init__(self, client: Client) -> None:
        self._schema = client.schema
        self._console = console()

    def event(self, event: Event) -> None:
        """Print it."""
        match event.WhichOneof("kind"):
            case "task":
                self._changed(event.task)
            case "progress":
                update = event.progress
                at = clock_text(update.progress.update_time)
                self._say(f"{at}  {update.id}  {progress_text(update.progress)}")
            case "removed":
                what = "deleted" if event.removed.deleted else "left"
                self._say(f"          {event.removed.id}  {what}")
            case "synced":
                self._say("          these are all; now what changes", style="dim")

    def _changed(self, task: task_pb2.Task) -> None:
        state = state_text(task.state)
        state.pad_right(_STATE_WIDTH - len(state))
        line = Text(f"{clock_text(task.update_time)}  {task.id}  ").append_text(state)
        name = task.type.rpartition("/")[2]
        shown = message_json(task, self._schema)
        self._console.print(line.append(on_one_line(f"  {name}{about(task, shown)}")))

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(on_one_line(line), style=style))

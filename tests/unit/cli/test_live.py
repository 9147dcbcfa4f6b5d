"""What a watch draws, on a terminal that is only a text."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.rpc import status_pb2
from rich.console import Console

from taskwire.v1 import task_pb2
from taskwire_cli.live import Screen

RUNNING = task_pb2.TASK_STATE_RUNNING
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A screen and everything that was drawn on it; `last` is the moving line as it is now."""

    def __init__(self, *, width: int = 120, is_terminal: bool = True) -> None:
        self._file = io.StringIO()
        console = Console(
            file=self._file, force_terminal=is_terminal, width=width, color_system=None
        )
        self.screen = Screen(console)

    @property
    def drawn(self) -> str:
        return ESCAPES.sub("", self._file.getvalue())

    @property
    def lines(self) -> list[str]:
        """Every line that was ever drawn, the moving one as often as it moved."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", self.drawn) if line.strip()]

    @property
    def last(self) -> str:
        return self.lines[-1].strip()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    with made.screen:
        yield made


def task(state: task_pb2.TaskState.ValueType, attempt: int = 1, age_s: int = 0) -> task_pb2.Task:
    made = task_pb2.Task(state=state, attempt=attempt)
    made.options.retry.max_attempts = 5
    made.update_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=age_s))
    return made


def progress(
    fraction: float, done: int = 0, total: int = 0, message: str = ""
) -> task_pb2.Progress:
    return task_pb2.Progress(
        fraction=fraction, completed_units=done, total_units=total, message=message
    )


def test_an_attempt_that_runs_has_a_bar_with_its_number_and_its_age(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING, attempt=2, age_s=75), {})
    assert terminal.last.startswith("━")
    assert re.search(r"0:01:1[5-9]  attempt 2 of 5$", terminal.last), terminal.last


def test_a_report_moves_the_bar_and_says_what_is_done(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING), {})
    terminal.screen.progressed(progress(0.5, 2_000, 4_000, "resizing"))
    assert re.search(r"━ +50 %  0:00:\d\d  attempt 1 of 5  ", terminal.last)
    assert terminal.last.endswith("  2,000 of 4,000  resizing")


def test_a_task_that_runs_already_begins_with_its_progress(terminal: Terminal) -> None:
    running = task(RUNNING)
    running.progress.CopyFrom(progress(0.25, message="halfway to half"))
    terminal.screen.changed(running, {})
    assert " 25 % " in terminal.last
    assert terminal.last.endswith("halfway to half")


def test_the_next_attempt_begins_again(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING, age_s=3600), {})
    terminal.screen.progressed(progress(0.9, message="nearly"))
    terminal.screen.changed(task(RUNNING, attempt=2), {})
    assert re.search(r"━ +0:00:0\d  attempt 2 of 5$", terminal.last), terminal.last


def test_a_change_is_a_line_of_its_own_that_stays(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING), {})
    failed = task(task_pb2.TASK_STATE_FAILED)
    failed.error.status.CopyFrom(status_pb2.Status(code=3, message="It is [/red] all\nover."))
    terminal.screen.changed(failed, {})
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  FAILED       INVALID_ARGUMENT: It is \[/red\] all over\.", terminal.last
    )


def test_a_report_after_the_end_of_its_attempt_draws_nothing(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING), {})
    terminal.screen.changed(task(task_pb2.TASK_STATE_RETRYING), {})
    before = terminal.lines
    terminal.screen.progressed(progress(0.9, message="late"))
    assert terminal.lines == before


def test_a_cancelled_attempt_keeps_its_bar_until_it_has_stopped(terminal: Terminal) -> None:
    terminal.screen.changed(task(RUNNING), {})
    terminal.screen.progressed(progress(0.5))
    terminal.screen.changed(task(task_pb2.TASK_STATE_CANCELLING), {})
    assert " 50 % " in terminal.last
    terminal.screen.changed(task(task_pb2.TASK_STATE_CANCELLED), {})
    assert "CANCELLED" in terminal.last


@pytest.mark.parametrize("message", ["[bold]", "[/nothing]", "{task.x}", "a\x1b[2Jb\rc\nd"])
def test_what_a_handler_says_is_shown_and_not_obeyed(terminal: Terminal, message: str) -> None:
    terminal.screen.changed(task(RUNNING), {})
    terminal.screen.progressed(progress(0.5, message=message))
    shown = message.replace("\x1b", " ").replace("\r", " ").replace("\n", " ")
    assert terminal.last.endswith(shown)


def test_words_give_way_where_the_terminal_is_narrow() -> None:
    narrow = Terminal(width=80)
    with narrow.screen:
        narrow.screen.changed(task(RUNNING), {})
        narrow.screen.progressed(progress(0.5, message="a long story " * 20))
        assert narrow.last.endswith("…")
        assert " 50 % " in narrow.last
        assert max(len(line) for line in narrow.lines) <= 80


def test_a_file_gets_lines_and_no_bar() -> None:
    file = Terminal(is_terminal=False)
    with file.screen as screen:
        running = task(RUNNING)
        running.progress.CopyFrom(progress(0.5, 1, 2, "[/nothing]"))
        screen.changed(running, {})
        screen.say("interrupted (it [/went] away); waiting for the server")
        screen.waits(task_pb2.PENDING_REASON_NO_WORKER)
    assert "━" not in file.drawn
    assert [line[10:].strip() for line in file.lines] == [
        "RUNNING      attempt 1 of 5",
        "50 %  1 of 2  [/nothing]",
        "interrupted (it [/went] away); waiting for the server",
        "no live worker runs its type on its queue: start one, or see TASKWIRE_WORKER_QUEUES",
    ]

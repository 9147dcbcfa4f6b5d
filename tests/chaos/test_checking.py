"""The checker catches each broken promise as what it is, and finds nothing in a good history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from taskwire_core.lifecycle import Event, State
from tests.chaos import history as history_file
from tests.chaos.breaks import BREAKS, good
from tests.chaos.breaks.tasks import an_acknowledged_task_is_gone, two_attempts_run_at_once
from tests.chaos.checking import check, invariant_table, recoveries
from tests.chaos.checking.table import INVARIANTS
from tests.chaos.history import History, Record, line_of
from tests.chaos.records import Invoke
from tests.chaos.remains import Dumped
from tests.chaos.story import Story, replaced


def found_in(history: History) -> set[str]:
    return {violation.invariant for violation in check(history)}


def test_a_good_history_breaks_nothing() -> None:
    assert check(good().story.history()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_promise_is_found_and_no_other(name: str) -> None:
    number, break_it = BREAKS[name]
    assert found_in(break_it(good())) == {number}


def test_every_invariant_has_a_history_that_breaks_it() -> None:
    assert {number for number, _ in BREAKS.values()} == set(INVARIANTS)


def test_a_violation_names_the_task_and_shows_its_records() -> None:
    story = good()
    (violation,) = check(two_attempts_run_at_once(story))
    assert violation.task_id == story.story.tales[-1].task_id
    assert len(violation.records) == 3
    assert "attempt 2 was begun while 1 ran" in str(violation)


def test_what_is_not_due_yet_may_wait() -> None:
    story = good().story
    tale = story.task(scheduled=True)
    row = story.row(tale)
    later = msgspec.structs.replace(row, due=1_000_000.0 + 1_000_000)
    assert check(replaced(story.history(), row, later)) == []


def test_a_request_id_may_be_used_again_once_its_task_is_deleted() -> None:
    story = good().story
    first, second = story.task(), story.task()
    story.forget(first)
    number = story.number()
    asked = next(
        r for r in story.records if isinstance(r, Invoke) and r.request_id == second.request_id
    )
    second.request_id = first.request_id
    story.records[story.records.index(asked)] = msgspec.structs.replace(
        asked, request_id=first.request_id
    )
    story.records.append(Invoke(story.tick(), number, "delete", task_id=first.task_id))
    story.run(second)
    assert check(story.history()) == []


def test_an_attempt_that_was_lost_may_begin_after_a_cancel() -> None:
    story = good().story
    tale = story.task()
    story.move(tale, Event.CLAIM, State.RUNNING)
    story.move(tale, Event.LOST, State.RETRYING)
    story.move(tale, Event.CANCEL, State.CANCELLED)
    story.ask("cancel", tale)
    story.write(tale, "begin")
    assert check(story.history()) == []


@pytest.mark.parametrize("part", [Dumped, Invoke])
def test_nothing_is_shown_by_a_history_with_a_part_missing(part: type[Record]) -> None:
    history = good().story.history()
    record = next(r for r in history.records if isinstance(r, part))
    assert found_in(replaced(history, record)) == {"I0"}


def test_recovery_is_the_time_until_each_live_task_went_on() -> None:
    story = Story()
    story.run(story.task())
    running, waiting = story.task(), story.task()
    story.claim(running)
    kill = story.fault()
    story.end_fault(kill)
    over = story.at
    story.lose(running)
    story.claim(running)
    claimed = running.events[-1].wall - 1_000_000.0
    story.at += 10
    story.claim(waiting)
    last = waiting.events[-1].wall - 1_000_000.0
    story.succeed(running)
    story.succeed(waiting)
    stuck = story.task()
    end = story.fault("stop", "gateway")
    (first, second) = recoveries(story.history())
    assert (first.tasks, first.stuck) == (2, 0)
    assert (first.p50_s, first.max_s) == (claimed - over, last - over)
    assert (second.fault.fault, second.tasks, second.stuck, second.max_s) == (end, 1, 1, None)
    assert stuck.state is State.QUEUED


def test_what_waits_for_the_end_of_another_fault_is_counted_there() -> None:
    story = Story()
    waiting, quick = story.task(), story.task()
    first = story.fault("cut", "redis")
    story.end_fault(first)
    story.run(quick)
    second = story.fault("cut", "rabbitmq")
    story.end_fault(second)
    story.run(waiting)
    found = recoveries(story.history())
    assert [each.tasks for each in found] == [1, 1]
    assert [each.fault.fault for each in found] == [first, second]


def test_the_table_of_invariants_says_promise_and_rule() -> None:
    rows = invariant_table()
    assert [row.number for row in rows] == list(INVARIANTS)
    assert all(row.promise.endswith(".") and row.rule.endswith(".") for row in rows)


def command(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos.check", str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )


def saved(history: History, path: Path) -> Path:
    path.write_bytes(b"".join(map(line_of, (history.header, *history.records))))
    return path


def test_the_command_sums_up_a_good_history(tmp_path: Path) -> None:
    done = command(saved(good().story.history(), tmp_path / "good.jsonl"))
    assert done.returncode == 0, done.stderr
    assert "violations  0" in done.stdout
    assert "tasks       5 (1 CANCELLED, 4 SUCCEEDED)" in done.stdout
    assert "kill worker: 1 tasks went on after" in done.stdout


def test_the_command_shows_violations_with_their_records(tmp_path: Path) -> None:
    done = command(saved(an_acknowledged_task_is_gone(good()), tmp_path / "bad.jsonl"))
    assert done.returncode == 1
    assert "I1: it was acknowledged and is gone" in done.stdout
    assert '    {"kind":"ok",' in done.stdout


def test_the_command_names_the_line_that_it_cannot_read(tmp_path: Path) -> None:
    path = saved(good().story.history(), tmp_path / "strange.jsonl")
    path.write_text(path.read_text() + "what?\n")
    done = command(path)
    assert done.returncode == 2
    assert f"line {len(path.read_text().splitlines())}:" in done.stderr
    assert command(tmp_path / "nowhere.jsonl").returncode == 2


def test_the_history_of_the_docstring_can_be_read_and_is_good(tmp_path: Path) -> None:
    assert history_file.__doc__
    lines = [line.strip() for line in history_file.__doc__.splitlines() if line.startswith("    {")]
    path = tmp_path / "by-hand.jsonl"
    path.write_text("\n".join(lines))
    assert command(path).returncode == 0

"""`taskwire queues`, `queue` and `run` against a real server."""

from __future__ import annotations

from tests.cli.conftest import SLEEP, Taskwire

QUEUE = "nobody-works-here"


def waiting(taskwire: Taskwire, *arguments: str) -> str:
    """The id of a new task of a queue that no worker works on."""
    return taskwire(
        "submit", SLEEP, '{"duration": "1s"}', "--queue", QUEUE, *arguments
    ).out.split()[0]


def test_queues_are_a_table_for_people(taskwire: Taskwire) -> None:
    waiting(taskwire)
    answer = taskwire("queues")
    assert answer.code == 0
    heading, *rows = answer.out.splitlines()
    assert heading.split()[:4] == ["QUEUE", "QUEUED", "OLDEST", "LATER"]
    (row,) = [line.split() for line in rows if line.startswith(QUEUE)]
    assert int(row[1]) >= 1
    (served,) = [line.split() for line in rows if line.startswith("images ")]
    assert served[-5:-3] == ["1", "8"]


def test_queues_in_json_are_messages(taskwire: Taskwire) -> None:
    waiting(taskwire)
    found = {each["name"]: each for each in taskwire("queues", "--json").json}
    assert int(found[QUEUE]["queuedCount"]) >= 1
    assert "oldestDueAge" in found[QUEUE]


def test_a_queue_is_paused_and_resumed(taskwire: Taskwire) -> None:
    task_id = waiting(taskwire)
    paused = taskwire("queue", "pause", QUEUE, "--reason", "bad deploy")
    assert paused.code == 0
    assert paused.out.startswith(f"{QUEUE} is paused: ")
    assert "its queue is paused" in taskwire("get", task_id).out
    (row,) = [line for line in taskwire("queues").out.splitlines() if line.startswith(QUEUE)]
    assert "paused by dev at " in row
    assert row.rstrip().endswith(": bad deploy")
    again = taskwire("queue", "pause", QUEUE)
    assert "was paused by dev at" in again.out
    assert again.out.endswith(": bad deploy already.\n")
    assert "goes on" in taskwire("queue", "resume", QUEUE).out
    assert taskwire("queue", "resume", QUEUE).out == f"{QUEUE} was not paused.\n"
    assert "start one" in taskwire("get", task_id).out


def test_a_misspelled_queue_is_exit_code_3_with_the_right_name(taskwire: Taskwire) -> None:
    waiting(taskwire)
    answer = taskwire("queue", "pause", "nobody-work-here")
    assert answer.code == 3
    assert answer.line == (
        f"taskwire: There is no queue nobody-work-here; did you mean {QUEUE}?"
        " (NOT_FOUND QUEUE_NOT_FOUND)"
    )


def test_a_waiting_task_is_run_now(taskwire: Taskwire) -> None:
    task_id = taskwire("submit", SLEEP, '{"duration": "0.1s"}', "--delay", "1h").out.split()[0]
    assert taskwire("run", task_id).out == "QUEUED: it is due now.\n"
    assert taskwire("watch", task_id).code == 0
    answer = taskwire("run", task_id)
    assert answer.code == 3
    assert "it has ended; retry it instead" in answer.line
    assert "FAILED_PRECONDITION TASK_NOT_WAITING" in answer.line


def test_a_task_that_is_due_already_stays_so(taskwire: Taskwire) -> None:
    task_id = waiting(taskwire)
    assert taskwire("run", task_id).out == "QUEUED: it was due already.\n"
    answer = taskwire("run", task_id, "--json").json
    assert answer["effective"] is False
    assert answer["task"]["id"] == task_id

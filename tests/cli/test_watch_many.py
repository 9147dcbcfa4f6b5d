"""`taskwire watch` of several tasks and of a filter, against a real server."""

from __future__ import annotations

import json
import subprocess
import uuid

from tests.cli.conftest import DIVIDE, SLEEP, Taskwire
from tests.support.embedded import COMMAND, EmbeddedServer, environment


def submitted(taskwire: Taskwire, *arguments: str) -> str:
    return taskwire("submit", *arguments).out.split()[0]


def test_several_tasks_are_watched_until_all_have_ended(taskwire: Taskwire) -> None:
    ids = [submitted(taskwire, SLEEP, '{"duration": "0.3s"}') for _ in range(2)]
    answer = taskwire("watch", *ids)
    assert answer.code == 0
    assert "these are all; now what changes" in answer.out
    for task_id in ids:
        lines = [line for line in answer.out.splitlines() if task_id in line]
        assert "SUCCEEDED" in lines[-1]
        assert "Sleep" in lines[-1]


def test_one_that_fails_is_exit_code_1(taskwire: Taskwire) -> None:
    good = submitted(taskwire, DIVIDE, '{"dividend": 4, "divisor": 2}')
    answer = taskwire("watch", good, submitted(taskwire, DIVIDE, "{}"))
    assert answer.code == 1
    assert "DIVISION_BY_ZERO" in answer.out


def test_json_is_one_message_a_line_with_its_token(taskwire: Taskwire) -> None:
    ids = [submitted(taskwire, DIVIDE, '{"dividend": 4, "divisor": 2}') for _ in range(2)]
    answer = taskwire("watch", *ids, "--json")
    seen = [json.loads(line) for line in answer.out.splitlines()]
    assert all(each["resumeToken"] for each in seen)
    assert {each["task"]["id"] for each in seen if "task" in each} == {*ids}
    assert seen[-1]["closed"] == {"reason": "REASON_TERMINAL"}


def test_a_filter_is_watched_until_somebody_stops_it(
    taskwire: Taskwire, embedded: EmbeddedServer
) -> None:
    label = uuid.uuid4().hex
    env = environment(listen=embedded.address)
    command = [*COMMAND, "watch", "--filter", f"labels.run = {label}"]
    watch = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    assert "these are all" in watch.stdout.readline()
    later = ("--delay", "1h", "--label", f"run={label}")
    task_id = submitted(taskwire, SLEEP, '{"duration": "1s"}', *later)
    assert task_id in watch.stdout.readline()
    taskwire("cancel", task_id)
    assert "CANCELLED" in watch.stdout.readline()
    taskwire("delete", task_id)
    assert watch.stdout.readline().endswith(f"{task_id}  deleted\n")
    watch.terminate()
    watch.wait(10)
    watch.stdout.close()


def test_a_filter_that_is_none_is_refused(taskwire: Taskwire) -> None:
    answer = taskwire("watch", "--filter", "state = = RUNNING")
    assert answer.code == 3
    assert "INVALID_ARGUMENT INVALID_FILTER" in answer.line


def test_neither_ids_nor_a_filter_is_a_wrong_command_line(taskwire: Taskwire) -> None:
    for arguments in ((), ("ID", "--filter", "")):
        answer = taskwire("watch", *arguments)
        assert answer.code == 2
        assert "name tasks by their ids, or choose them with --filter" in answer.line


def test_after_version_is_for_a_single_task(taskwire: Taskwire) -> None:
    answer = taskwire("watch", "A", "B", "--after-version", "3")
    assert answer.code == 2
    assert "--after-version is for a single task" in answer.line

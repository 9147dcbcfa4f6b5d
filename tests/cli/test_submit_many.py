"""`taskwire submit-many` against a real server."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DIVIDE, Answer, Taskwire


def line(**fields: Any) -> str:  # any field of a SubmitTaskRequest
    return json.dumps({"type": DIVIDE, "input": {"dividend": 6, "divisor": 2}, **fields})


def answers(answer: Answer) -> dict[int, Any]:
    found = [json.loads(each) for each in answer.out.splitlines()]
    return {each["line"]: each for each in found}


def test_every_line_becomes_a_task(taskwire: Taskwire, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(line(labels={"n": str(n)}) for n in range(50)) + "\n\n")
    answer = taskwire("submit-many", str(file))
    assert answer.code == 0
    found = answers(answer)
    assert found.keys() == set(range(1, 51))
    task = taskwire("get", found[7]["id"], "--json").json
    assert task["labels"] == {"n": "6"}
    assert task["input"]["dividend"] == 6


def test_standard_input_is_read_too(taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line().encode())))
    assert answers(taskwire("submit-many", "-"))[1]["disposition"] == "DISPOSITION_CREATED"


def test_what_is_refused_is_named_by_its_line(taskwire: Taskwire, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    lines = [
        line(),
        "no json",
        "[]",
        line(type="acme.v1.Nothing/There"),
        line(nonsense=1),
        line(input={"nonsense": 1}),
        line(overrides={"queue": "not a queue"}),
        line(),
    ]
    file.write_text("\n".join(lines))
    answer = taskwire("submit-many", str(file))
    assert answer.code == 3
    found = answers(answer)
    assert found.keys() == set(range(1, 9))
    assert [number for number, each in found.items() if "error" not in each] == [1, 8]
    assert "JSON object" in found[3]["error"]["message"]
    assert "no task type acme.v1.Nothing/There" in found[4]["error"]["message"]
    refused = found[7]["error"]
    assert refused["details"][0]["reason"] == "FIELD_VIOLATION"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"type": "\xff"}', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (line(input={"dividend": "\\ud800"}).encode().replace(b"\\\\", b"\\"), ""),
    ],
    ids=["no text", "too deep", "half a character"],
)
def test_a_line_that_cannot_be_read_holds_up_no_other_one(
    taskwire: Taskwire, tmp_path: Path, bad: bytes, why: str
) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(b"\n".join([line().encode(), bad, line().encode()]))
    answer = taskwire("submit-many", str(file))
    assert answer.code == 3
    assert answer.err == ""
    found = answers(answer)
    assert [number for number, each in found.items() if "error" not in each] == [1, 3]
    assert why in found[2]["error"]["message"]


def test_a_file_that_is_not_there_is_a_wrong_command_line(taskwire: Taskwire) -> None:
    answer = taskwire("submit-many", "nowhere.jsonl")
    assert answer.code == 2
    assert "cannot read nowhere.jsonl" in answer.line

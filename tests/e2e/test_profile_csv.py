"""A CSV file as a task: it runs in a process of its own, and its progress is seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest

from taskwire.client import CallFailed, Client, ended
from taskwire.examples.v1 import data_tasks_pb2 as pb
from taskwire.v1 import task_pb2
from tests.support.embedded import EmbeddedServer

PROFILE = "taskwire.examples.v1.DataTasks/ProfileCsv"


@pytest.fixture
def client(embedded: EmbeddedServer) -> Iterator[Client]:
    with Client(embedded.address) as connected:
        yield connected


def test_a_file_of_nearly_four_mebibytes_is_profiled_with_progress(client: Client) -> None:
    lines = [f"{number},name {number % 1000},{number / 7:.3f}" for number in range(160_000)]
    data = "\n".join(["id,name,value", *lines]).encode()
    assert 3_900_000 < len(data) < 4_194_304 - 100

    task = client.submit(pb.ProfileCsvRequest(csv=data), delay=timedelta(seconds=1)).task
    seen: list[task_pb2.Progress] = []
    for event in client.watch(task.id):
        if event.WhichOneof("kind") == "progress":
            seen.append(event.progress.progress)
        elif event.WhichOneof("kind") == "task":
            task = event.task

    assert ended(task)
    result = pb.ProfileCsvResponse()
    assert task.result.Unpack(result)
    assert result.row_count == 160_000
    assert [column.name for column in result.columns] == ["id", "name", "value"]
    assert result.columns[0].max == "159999"
    assert result.columns[1].distinct_count == 1000
    done = [progress.completed_units for progress in seen]
    assert done
    assert done == sorted(done)
    assert {progress.total_units for progress in seen} == {len(data)}


def test_a_file_that_is_no_csv_fails_with_its_line(client: Client) -> None:
    with pytest.raises(CallFailed) as failed:
        client.call(PROFILE, pb.ProfileCsvRequest(csv=b'a\n1\n"2\n'), pb.ProfileCsvResponse)
    assert failed.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.reason == "CSV_UNREADABLE"
    assert "Line 3 of the CSV cannot be read: a quoted cell has no end." in str(failed.value)


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"csv": b""}, "csv", "must be at least 1 bytes"),
        ({"delimiter": ";;"}, "delimiter", "must be one character, and neither a quote nor"),
        ({"delimiter": '"'}, "delimiter", "must be one character, and neither a quote nor"),
        ({"delimiter": "\n"}, "delimiter", "must be one character, and neither a quote nor"),
        ({"delimiter": "\0"}, "delimiter", "must be one character, and neither a quote nor"),
        ({"encoding": 9}, "encoding", "value must be one of the defined enum values"),
    ],
)
def test_a_request_that_breaks_a_rule_is_no_task(
    client: Client, fields: dict[str, object], field: str, sentence: str
) -> None:
    request = pb.ProfileCsvRequest(**{"csv": b"a\n", **fields})  # type: ignore[arg-type]  # any type
    with pytest.raises(CallFailed) as failed:
        client.submit(request)
    assert failed.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.reason == "FIELD_VIOLATION"
    assert f"input.{field}: {sentence}" in str(failed.value)


@pytest.mark.parametrize("delimiter", ["\t", " ", "§"])
def test_a_tab_a_space_and_any_other_character_may_divide_cells(
    client: Client, delimiter: str
) -> None:
    request = pb.ProfileCsvRequest(csv=f"a{delimiter}b\n".encode(), delimiter=delimiter)
    answer = client.call(PROFILE, request, pb.ProfileCsvResponse)
    assert [column.name for column in answer.columns] == ["a", "b"]

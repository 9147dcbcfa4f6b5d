"""Files into bytes fields and out of them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from google.protobuf.any_pb2 import Any

from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.v1.task_pb2 import Task
from taskwire_cli.bytes_fields import bytes_at, check_field, put_files


def test_a_file_fills_a_bytes_field(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xd8")
    message = MakeThumbnailRequest(max_width=7)
    put_files(message, [("image", str(tmp_path / "picture"))])
    assert message == MakeThumbnailRequest(image=b"\xff\xd8", max_width=7)


def test_a_field_of_a_message_within_is_reached_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"1")
    task = Task()
    put_files(task, [("input.value", str(tmp_path / "bytes"))])
    assert task.input == Any(value=b"1")
    assert bytes_at(task, "input.value") == b"1"


@pytest.mark.parametrize("path", ["max_width", "picture", "image.x", "", "."])
def test_what_is_no_bytes_field_is_refused_with_those_that_are(path: str) -> None:
    with pytest.raises(click.UsageError, match=r"it has image$"):
        check_field(MakeThumbnailRequest, path)


def test_a_message_without_bytes_says_so() -> None:
    with pytest.raises(click.UsageError, match=r"it has none$"):
        check_field(Task, "id")

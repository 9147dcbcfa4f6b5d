"""Files into bytes fields and out of them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from google.protobuf.any_pb2 import Any

from taskwire.examples.v1.email_tasks_pb2 import EmailAttachment, SendEmailRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.v1.task_pb2 import Task
from taskwire_cli.bytes_fields import bytes_at, check_field, put_files
from taskwire_cli.exits import Stop


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


def test_a_message_of_a_list_is_reached_by_its_number_and_made_when_it_is_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "bytes").write_bytes(b"1")
    mail = SendEmailRequest(attachments=[EmailAttachment(name="a")])
    file = str(tmp_path / "bytes")
    put_files(mail, [("attachments[0].content", file), ("attachments[1].content", file)])
    assert list(mail.attachments) == [
        EmailAttachment(name="a", content=b"1"),
        EmailAttachment(content=b"1"),
    ]
    assert bytes_at(mail, "attachments[0].content") == b"1"
    with pytest.raises(Stop, match=r"there is no attachments\[2\]: attachments has 2"):
        bytes_at(mail, "attachments[2].content")
    assert len(mail.attachments) == 2


@pytest.mark.parametrize(
    "path",
    ["attachments.content", "attachments[x].content", "attachments[0]", "to[0].x", "subject[0].x"],
)
def test_what_is_no_bytes_field_of_a_list_is_refused(path: str) -> None:
    with pytest.raises(click.UsageError, match=r"it has none$"):
        check_field(SendEmailRequest, path)


@pytest.mark.parametrize("path", ["labels.x", "labels[0].x", "input[0].value"])
def test_neither_a_map_nor_a_single_message_has_numbers(path: str) -> None:
    with pytest.raises(click.UsageError, match="is no bytes field"):
        check_field(Task, path)


@pytest.mark.parametrize("path", ["max_width", "picture", "image.x", "", "."])
def test_what_is_no_bytes_field_is_refused_with_those_that_are(path: str) -> None:
    with pytest.raises(click.UsageError, match=r"it has image$"):
        check_field(MakeThumbnailRequest, path)


def test_a_message_without_bytes_says_so() -> None:
    with pytest.raises(click.UsageError, match=r"it has none$"):
        check_field(Task, "id")

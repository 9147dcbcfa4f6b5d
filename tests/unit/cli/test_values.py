"""What people type as the value of an option."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import click
import pytest

from taskwire_cli.exits import Exit, Stop
from taskwire_cli.values import (
    Duration,
    Pair,
    Time,
    check_writable,
    read_file,
    text_of,
    write_file,
)


def test_a_pair_is_split_at_its_first_equals_sign() -> None:
    assert Pair("a=b").convert("run=a=b", None, None) == ("run", "a=b")


@pytest.mark.parametrize("text", ["acme", "=acme", "acme=", ""])
def test_what_is_no_pair_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="for example customer=acme"):
        Pair("customer=acme").convert(text, None, None)


def test_a_duration_has_a_unit() -> None:
    assert Duration().convert("90s", None, None) == timedelta(seconds=90)


def test_a_time_without_offset_is_local() -> None:
    time = Time().convert("2027-01-31T09:00", None, None)
    assert time.utcoffset() is not None
    assert (time.hour, time.minute) == (9, 0)


def test_text_is_itself_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input.json").write_text('{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
    assert text_of('{"b": 2}') == '{"b": 2}'
    assert text_of(f"@{tmp_path}/input.json") == '{"a": 1}'
    assert text_of("-") == "{}"


def test_a_picture_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xd8")
    with pytest.raises(click.UsageError, match="is not text in UTF-8"):
        text_of(f"@{tmp_path}/picture")


def test_a_file_may_be_written_with_an_at_sign_as_curl_does(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xd8")
    assert read_file(f"@{tmp_path}/picture") == read_file(f"{tmp_path}/picture") == b"\xff\xd8"


def test_a_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="No such file or directory") as stopped:
        write_file(str(tmp_path / "no" / "file"), b"")
    assert stopped.value.code is Exit.REFUSED


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="File name too long"):
        check_writable(str(tmp_path / ("x" * 300)))


def test_a_file_is_no_folder_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"")
    with pytest.raises(click.UsageError, match="Not a directory"):
        check_writable(str(tmp_path / "picture" / "x.png"))


def test_standard_input_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xd8"), encoding="utf-8"))
    with pytest.raises(click.UsageError, match="standard input is not text in UTF-8"):
        text_of("-")

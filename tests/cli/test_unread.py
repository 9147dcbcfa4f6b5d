"""What a command does, and ends with, when nobody reads what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import DIVIDE, THUMBNAIL, Taskwire


def unread(*arguments: str) -> tuple[int, str]:
    """The exit code and stderr of a command whose stdout nobody reads."""
    reader, stdout = os.pipe()
    os.close(reader)
    # Buffered, as it is for people, what is left is written at Python's exit only.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "taskwire_cli", *arguments]
    with open(stdout, "wb") as pipe:
        done = subprocess.run(
            command, env=env, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )
    return done.returncode, done.stderr


def test_a_file_is_written_although_nobody_reads_what_is_shown(
    taskwire: Taskwire, picture: Path, tmp_path: Path
) -> None:
    files = ("--field-file", f"image={picture}")
    task = taskwire("submit", THUMBNAIL, *files, "--wait", "--json").json["id"]
    submitted, watched, got = (tmp_path / name for name in ("submitted", "watched", "got"))
    assert unread("submit", THUMBNAIL, *files, "--output", f"image={submitted}") == (0, "")
    watch = ("submit", THUMBNAIL, *files, "--watch", "--output", f"image={watched}")
    assert unread(*watch) == (0, "")
    assert unread("get", task, "--output", f"image={got}") == (0, "")
    assert submitted.read_bytes() == watched.read_bytes() == got.read_bytes() != b""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_exit_code_is_the_outcome_although_nobody_reads_it(
    taskwire: Taskwire, form: tuple[str, ...]
) -> None:
    assert unread("submit", DIVIDE, "{}", *form) == (0, "")
    assert unread("list", *form) == (0, "")
    assert unread("submit", DIVIDE, "{}", "--wait", *form) == (1, "")
    failed = taskwire("submit", DIVIDE, "{}", "--wait", "--json").json["id"]
    assert unread("retry", failed, "--wait", *form) == (1, "")


def test_a_file_that_cannot_be_written_is_exit_code_3_although_nobody_reads(
    taskwire: Taskwire, picture: Path
) -> None:
    files = ("--field-file", f"image={picture}", "--output", "image=/dev/full")
    code, err = unread("submit", THUMBNAIL, *files)
    assert code == 3
    assert err == "taskwire: cannot write /dev/full: No space left on device\n"

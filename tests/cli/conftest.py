"""Runs commands in this process, where starting Python again would cost half a second each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taskwire_cli.main import run
from tests.support.embedded import EmbeddedServer

SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever the command prints
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of an error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Taskwire = Callable[..., Answer]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Taskwire:
    """Runs `taskwire` with the given arguments and no settings but those set by the test."""
    for name in list(os.environ):
        if name.startswith("TASKWIRE_"):
            monkeypatch.delenv(name)

    def taskwire(*arguments: str) -> Answer:
        capsys.readouterr()
        code = run(list(arguments))
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return taskwire


@pytest.fixture
def taskwire(bare: Taskwire, embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Taskwire:
    """Runs `taskwire` beside the shared server."""
    monkeypatch.setenv("TASKWIRE_LISTEN", embedded.address)
    return bare


Refusal = Callable[..., str]


@pytest.fixture
def refusal(bare: Taskwire, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """The one line with which a command refuses to start with these settings."""
    for module in ("dev", "services"):
        # It would take pytest's own handlers away.
        monkeypatch.setattr(
            f"taskwire_cli.commands.{module}.log_to_stderr", lambda level, form: None
        )

    def refused(command: str = "dev", **settings: str) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(f"TASKWIRE_{name.upper()}", value)
        answer = bare(command)
        assert answer.code == 2
        assert answer.out == ""
        return answer.line

    return refused


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture.jpg"
    Image.radial_gradient("L").resize((1600, 1200)).convert("RGB").save(file)
    return file

"""The example settings file: complete, and its defaults are the defaults."""

from __future__ import annotations

from dataclasses import fields

from taskwire_core.settings import PREFIX, Settings, read_settings
from tests.cli.conftest import Taskwire
from tests.packaging.image import ROOT

EXAMPLE = ROOT / "taskwire.env.example"


def test_the_file_is_what_the_command_prints(taskwire_bare: Taskwire) -> None:
    assert taskwire_bare("settings").out == EXAMPLE.read_text(), (
        "write it anew: taskwire settings > taskwire.env.example"
    )


def test_every_setting_is_there_with_its_meaning() -> None:
    text = EXAMPLE.read_text()
    words = " ".join(text.replace("\n# ", " ").split())
    for setting in fields(Settings):
        assert text.count(f"\n#{PREFIX}{setting.name.upper()}=") == 1
        assert " ".join(setting.metadata["help"].split()) in words


def test_with_every_value_set_nothing_is_other_than_by_default() -> None:
    lines = [line[1:] for line in EXAMPLE.read_text().splitlines() if line.startswith(f"#{PREFIX}")]
    environment = dict(line.split("=", 1) for line in lines)
    assert read_settings(environment) == Settings()

"""Commands in this process, and taskwire installed from a wheel outside the clone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import bare as taskwire_bare
from tests.support.embedded import environment
from tests.support.wheel import build_wheel, fresh_environment

__all__ = ["taskwire_bare"]


@dataclass(frozen=True)
class Installed:
    """taskwire in an environment of its own; commands run in `folder`, outside the clone."""

    wheel: Path
    programs: Path
    folder: Path

    def run(self, *command: str, **settings: str) -> str:
        """What a program of the environment prints; it must succeed."""
        done = subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            cwd=self.folder,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(folder)
    programs = fresh_environment(folder, wheel)
    assert sys.prefix not in str(programs)
    (folder / "work").mkdir()
    return Installed(wheel, programs, folder / "work")

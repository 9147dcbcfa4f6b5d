"""A copy of this repository, which a mutation may spoil, and pytest in it.

The copy's rooms stand first on PYTHONPATH, before those of the editable install, and children of
the tests inherit that. `witness.py`, which runs inside, refuses a run that imports anything else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutations.guard import Guard

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 1200


@dataclass(frozen=True, slots=True)
class Run:
    """What became of some tests: `caught` failed because an assertion did; `broken` otherwise.

    `broken` is what went wrong instead: an import, a fixture, an error that no test asserts, or
    pytest itself.
    """

    passed: tuple[str, ...]
    caught: tuple[str, ...]
    broken: tuple[str, ...]
    seconds: float


class Tree:
    """A copy of the tree in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def copied(cls, root: Path, folder: Path) -> Tree:
        """What git knows of `root`, changes that are not committed included, and generated code."""
        for name in _files(root):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)
        return cls(folder)

    def without(self, guard: Guard, folder: Path) -> Tree:
        """A copy of this copy that has no such guard.

        Raises:
            DoesNotApply: the code is not what the guard's edits say.
        """
        texts = guard.mutated(self.folder)
        shutil.copytree(self.folder, folder, symlinks=True)
        for name, text in texts.items():
            file = folder / name
            file.write_text(text)
            # What was compiled before is told from the new file by its time and size alone.
            for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
                compiled.unlink()
        return Tree(folder)

    def run(self, tests: Sequence[str], *, root: Path, mutated: Sequence[str] = ()) -> Run:
        """Run `tests` here; nothing of `root`, the tree that this is a copy of, may be imported."""
        cache = self.folder / ".cache"
        cache.mkdir(exist_ok=True)
        report = Path(tempfile.mkdtemp(dir=cache)) / "witness.jsonl"
        begun = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *self._here(), *_OPTIONS, *tests],
                cwd=self.folder,
                env=self._environment(report, root, mutated),
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
            )
            code, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            code, output = -1, f"no end within {_PATIENCE_S} s"
        return _run(report, code, output, time.monotonic() - begun)

    def _here(self) -> list[str]:
        """The copy's own settings: without any, those of a folder around it would be taken."""
        return ["-c", str(self.folder / "pyproject.toml"), "--rootdir", str(self.folder)]

    def _environment(self, report: Path, root: Path, mutated: Sequence[str]) -> dict[str, str]:
        # What a surrounding pytest has set is not for this one.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        said = {"report": str(report), "copy": str(self.folder), "original": str(root)}
        witness = json.dumps({**said, "mutated": list(mutated)})
        path = os.pathsep.join(str(self.folder / room) for room in _rooms(self.folder))
        return {**kept, "PYTHONPATH": path, "MUTATIONS_WITNESS": witness}


_OPTIONS = (
    *("-p", "tests.mutations.witness", "-q", "--tb=short"),
    # Hypothesis is imported by its plugin, which takes as long as a test does.
    *("-p", "no:hypothesispytest", "-p", "no:xdist"),
)


def _files(root: Path) -> list[str]:
    """What is committed or could be, and beside it the generated code, which git ignores."""
    known = _git(root, "--cached", "--others", "--exclude-standard")
    generated = _git(root, "--others", "--ignored", "--exclude-standard", "taskwire")
    found = {*known, *(name for name in generated if "__pycache__" not in name)}
    return sorted(name for name in found if (root / name).is_file())


def _git(root: Path, *arguments: str) -> list[str]:
    command = ["git", "ls-files", "-z", *arguments]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name]


def _rooms(folder: Path) -> list[str]:
    """The folders that the editable install puts on the path."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    rooms: list[str] = project["tool"]["hatch"]["build"]["dev-mode-dirs"]
    return rooms


def _run(report: Path, code: int, output: str, seconds: float) -> Run:
    lines = report.read_text().splitlines() if report.exists() else []
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    of = {
        kind: tuple(r["what"] for r in records if r["kind"] == kind)
        for kind in ("passed", "caught", "broken")
    }
    broken = of["broken"]
    if code not in (0, 1) or not records:
        broken = (*broken, f"pytest ended with {code}: {_end_of(output)}")
    return Run(of["passed"], of["caught"], broken, seconds)


def _end_of(output: str) -> str:
    return " / ".join(line.strip() for line in output.splitlines() if line.strip())[-400:]

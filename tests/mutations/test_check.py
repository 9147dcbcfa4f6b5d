"""The check of the guards, on a tree of a few lines: it believes nothing but an assertion."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mutations.__main__ import main
from tests.mutations.tree import ROOT

PRODUCT = "def half(number):\n    assert_even(number)\n    return number // 2\n"
EVEN = "\n\ndef assert_even(number):\n    if number % 2:\n        raise ValueError(number)\n"
TEST = """
import pytest

from rooms.halves import half


def test_a_half():
    assert half(4) == 2


def test_no_half_of_an_odd_number():
    with pytest.raises(ValueError):
        half(3)


def test_a_half_that_needs_a_fixture(broken):
    assert half(4) == 2


@pytest.fixture
def broken():
    assert half(4) == 2
"""


class Project:
    """A repository with one room, one test file and the guards of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path_has(".", "room")
        self.write("room/rooms/__init__.py", "")
        self.write("room/rooms/halves.py", PRODUCT + EVEN)
        self.write("tests/__init__.py", "")
        self.write("tests/test_halves.py", TEST)
        self.write("tests/mutations/__init__.py", "")
        shutil.copy(ROOT / "tests/mutations/witness.py", root / "tests/mutations")
        subprocess.run(["git", "init", "--quiet", str(root)], check=True)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def path_has(self, *rooms: str) -> None:
        """The folders that are imported from."""
        self.write("pyproject.toml", f"[tool.hatch.build]\ndev-mode-dirs = {list(rooms)}\n")

    def guard(self, name: str, test: str, *lines: str) -> None:
        """A guard in halves.py, which `test` is said to watch over."""
        head = f"Without it: It is gone.\nPromise: 1\nCaught by: tests/test_halves.py::{test}\n"
        edit = "".join(f"{line}\n" for line in ("--- room/rooms/halves.py", "@@", *lines))
        self.write(f"guards/{name}.diff", f"{head}\n{edit}")

    def check(self, *names: str) -> int:
        return main(names, root=self.root, folder=self.root / "guards")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


REMOVED = "-    assert_even(number)"


def test_a_guard_without_which_a_test_fails_is_caught(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.guard("even", "test_no_half_of_an_odd_number", REMOVED)
    assert project.check() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("even: caught by test_no_half_of_an_odd_number (")
    assert lines[-1] == "mutations: guards=1 caught=1"
    assert "assert_even(number)" in (project.root / "room/rooms/halves.py").read_text()
    assert list((project.root / ".cache").iterdir()) == [], "the copies are gone"


def test_a_guard_that_no_test_misses_is_a_failure(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.guard("even", "test_a_half", REMOVED)
    assert project.check() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "even: NOT CAUGHT: 1 tests pass without it",
        "mutations: guards=1 caught=0",
    ]


def test_a_guard_has_a_second_try_which_is_said(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = project.root / "tried"
    late = f"""

def test_late():
    if _first_without_the_guard():
        return
    with pytest.raises(ValueError):
        half(3)


def _first_without_the_guard():
    tried = __import__("pathlib").Path({str(tried)!r})
    if "assert_even" in half.__code__.co_names or tried.exists():
        return False
    tried.touch()
    return True
"""
    project.write("tests/test_halves.py", TEST + late)
    project.guard("even", "test_late", REMOVED)
    project.guard("other", "test_no_half_of_an_odd_number", REMOVED)
    assert project.check() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("other: ")]) == 1
    assert lines[-2].startswith("even: caught by test_late (")
    assert lines[-2].endswith(" s, at try 2)")


def test_an_edit_that_does_not_apply_says_where(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.guard("even", "test_a_half", "-    assert_even(other)")
    assert project.check() == 1
    assert (
        "even: NOT CAUGHT: the edit does not apply: room/rooms/halves.py has these lines 0 ti"
        in (capsys.readouterr().out)
    )


@pytest.mark.parametrize(
    ("test", "line", "why"),
    [
        ("test_a_half", "+import nothing_of_that_name", "cannot be collected"),
        ("test_a_half", "+    number = nothing_of_that_name", "call: NameError"),
        ("test_a_half_that_needs_a_fixture", "+    number += 2", "setup: AssertionError"),
    ],
    ids=["an import", "an error", "a fixture"],
)
def test_a_test_that_fails_for_another_reason_has_not_caught_anything(
    project: Project, capsys: pytest.CaptureFixture[str], test: str, line: str, why: str
) -> None:
    lines = (line, " def half(number):") if "import" in line else (" def half(number):", line)
    project.guard("even", test, *lines)
    assert project.check() == 1
    said = capsys.readouterr().out
    assert "even: NOT CAUGHT: no assertion failed, but" in said
    assert why in said


def test_a_copy_whose_code_is_not_the_one_that_is_imported_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    # The room's folder is not on the path of the copy, so another one with its code is found.
    project.path_has(".")
    project.write("conftest.py", f"import sys\n\nsys.path.append({str(project.root / 'room')!r})\n")
    project.guard("even", "test_no_half_of_an_odd_number", REMOVED)
    assert project.check() == 1
    assert "rooms.halves was imported from" in capsys.readouterr().out


def test_tests_that_fail_before_anything_is_removed_prove_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("room/rooms/halves.py", (PRODUCT + EVEN).replace("raise", "return"))
    project.guard("even", "test_no_half_of_an_odd_number", REMOVED)
    assert project.check() == 1
    said = capsys.readouterr().out
    assert "Before anything is removed:" in said
    assert "test_no_half_of_an_odd_number fails" in said


def test_a_test_that_fails_once_before_anything_is_removed_has_a_second_try(
    project: Project,
) -> None:
    tried = project.root / "tried"
    late = f"""

def test_late():
    tried = __import__("pathlib").Path({str(tried)!r})
    before = tried.exists()
    tried.touch()
    assert before
    with pytest.raises(ValueError):
        half(3)
"""
    project.write("tests/test_halves.py", TEST + late)
    project.guard("even", "test_late", REMOVED)
    project.guard("other", "test_no_half_of_an_odd_number", REMOVED)
    assert project.check() == 0


def test_only_the_guards_that_are_named_are_removed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.guard("even", "test_no_half_of_an_odd_number", REMOVED)
    project.guard("other", "test_a_half", REMOVED)
    assert project.check("even") == 0
    assert "guards=1 caught=1" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        project.check("no-such-guard")

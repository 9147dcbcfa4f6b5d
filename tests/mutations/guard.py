"""A guard, and the file that describes it: a diff whose head says what it is for.

The head has lines `Without it:`, `Promise:` (numbers of the promises on docs/mutations.md) and
`Caught by:` (a test's id; there may be several). Then come the edits: `--- path`, and after each
`@@` lines that stand in that file one below the other, marked as in any diff. There are no line
numbers: the lines that are there before the edit must be found exactly once, so that an edit never
lands elsewhere, and code that has moved away from its guard is noticed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GUARDS = Path(__file__).parent / "guards"


class DoesNotApply(Exception):
    """The code is not (any more) what a guard's edit says it is; the message says where."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In the file at `path`, `before` becomes `after`: whole lines, each with its end."""

    path: str
    before: str
    after: str

    def apply(self, text: str) -> str:
        """`text` with this edit.

        Raises:
            DoesNotApply: `before` does not stand in it exactly once.
        """
        lines, wanted = text.splitlines(keepends=True), self.before.splitlines(keepends=True)
        ends = range(len(wanted), len(lines) + 1)
        places = [end - len(wanted) for end in ends if lines[end - len(wanted) : end] == wanted]
        if len(places) != 1:
            times = f"{len(places)} times"
            raise DoesNotApply(f"{self.path} has these lines {times}:\n{self.before}")
        (start,) = places
        return "".join([*lines[:start], self.after, *lines[start + len(wanted) :]])


@dataclass(frozen=True, slots=True)
class Guard:
    """What the file `guards/<name>.diff` says."""

    name: str
    without_it: str
    promises: tuple[int, ...]
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]

    def mutated(self, root: Path) -> Mapping[str, str]:
        """The files below `root` without this guard: their new texts by their paths.

        Raises:
            DoesNotApply: the code is not what the edits say.
        """
        texts: dict[str, str] = {}
        for edit in self.edits:
            if edit.path not in texts:
                texts[edit.path] = _read(root / edit.path)
            texts[edit.path] = edit.apply(texts[edit.path])
        return texts


def _read(file: Path) -> str:
    if not file.exists():
        raise DoesNotApply(f"{file.name} is not where it was: {file}")
    return file.read_text()


def read_guards(folder: Path = GUARDS) -> list[Guard]:
    """All guards, in the order of their names."""
    return [read_guard(file) for file in sorted(folder.glob("*.diff"))]


def read_guard(file: Path) -> Guard:
    """The guard that `file` describes.

    Raises:
        ValueError: the file is not of the form that is described above.
    """
    head, *files = f"\n{file.read_text()}".split("\n--- ")
    said = [line.split(": ", 1) for line in head.splitlines() if line]
    if [key for key, *_ in said[:2]] != ["Without it", "Promise"] or len(said) < 3 or not files:
        raise ValueError(f"{file.name}: a head of three lines, and edits after it")
    if {key for key, *_ in said[2:]} != {"Caught by"}:
        raise ValueError(f"{file.name}: what catches it stands behind `Caught by: `")
    return Guard(
        name=file.stem,
        without_it=said[0][1],
        promises=tuple(int(number) for number in said[1][1].split(", ")),
        tests=tuple(value for _, value in said[2:]),
        edits=tuple(edit for text in files for edit in _edits(text)),
    )


def _edits(text: str) -> list[Edit]:
    path, *hunks = text.split("\n@@\n")
    return [_edit(path, hunk.splitlines()) for hunk in hunks]


def _edit(path: str, lines: list[str]) -> Edit:
    for line in lines:
        if line and line[0] not in "-+ ":
            raise ValueError(f"{path}: a line of a diff begins with a mark: {line}")
    before, after = (
        "".join(f"{line[1:]}\n" for line in lines if line[:1] != added) for added in "+-"
    )
    return Edit(path, before, after)

"""The check itself: the tests pass, and fail as soon as their guard is gone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutations.guard import DoesNotApply, Guard
from tests.mutations.tree import Run, Tree

AT_ONCE = 2
TRIES = 2
"""How often a guard is tried. A test may be late on a busy machine and meet what it waits for; one
that sees a difference once does watch over the guard."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which tests failed without the guard, in how many seconds; or why none of them counts."""

    guard: Guard
    caught_by: tuple[str, ...]
    seconds: float
    problem: str = ""
    tries: int = 1

    @property
    def caught(self) -> bool:
        """Whether a test asserts that the guard is there."""
        return bool(self.caught_by)


class Check:
    """Checks guards on copies of the tree at `root`; every copy is below `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._base = Tree.copied(root, folder / "base")

    def unmutated(self, guards: Sequence[Guard]) -> list[str]:
        """What is wrong with the guards' tests before anything is removed."""
        by_file: dict[str, set[str]] = {}
        for test in (test for guard in guards for test in guard.tests):
            by_file.setdefault(test.partition("::")[0], set()).add(test)
        files = sorted(by_file)
        halves = [
            [test for file in files[n::AT_ONCE] for test in sorted(by_file[file])]
            for n in range(AT_ONCE)
        ]
        # What this compiles the mutated copies need not compile again.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            problems = pool.map(self._problems, filter(None, halves))
        return [problem for half in problems for problem in half]

    def _problems(self, tests: Sequence[str]) -> list[str]:
        run = self._base.run(tests, root=self._root)
        if run.caught:
            # As with TRIES: to be late once on a busy machine is no defect.
            again = self._base.run(run.caught, root=self._root)
            run = replace(
                again,
                passed=(*run.passed, *again.passed),
                broken=(*run.broken, *again.broken),
            )
        failed = [f"{test} fails" for test in run.caught]
        heard = {*run.passed, *run.caught}
        # A test that is named without its parameters is all of them.
        silent = sorted(set(tests) - heard - {test.partition("[")[0] for test in heard})
        return [*failed, *run.broken, *(f"{test} did not pass" for test in silent)]

    def verdicts(self, guards: Sequence[Guard]) -> Iterator[Verdict]:
        """One for each guard, as they come."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(self._verdict, guards)

    def _verdict(self, guard: Guard) -> Verdict:
        for tries in range(1, TRIES + 1):
            verdict = replace(self._tried(guard), tries=tries)
            if verdict.caught:
                break
        return verdict

    def _tried(self, guard: Guard) -> Verdict:
        folder = self._folder / guard.name
        try:
            tree = self._base.without(guard, folder)
            run = tree.run(guard.tests, root=self._root, mutated=[e.path for e in guard.edits])
        except DoesNotApply as problem:
            return Verdict(guard, (), 0, f"the edit does not apply: {problem}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Verdict(guard, run.caught, run.seconds, "" if run.caught else _why_not(run))


def _why_not(run: Run) -> str:
    if run.broken:
        return f"no assertion failed, but {'; '.join(run.broken)}"
    return f"{len(run.passed)} tests pass without it"


@contextmanager
def check_of(root: Path) -> Iterator[Check]:
    """A check whose copies are below the tree's own cache, and go when it is over."""
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="mutations-", dir=cache))
    try:
        yield Check(root, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

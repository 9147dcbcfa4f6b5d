"""A plugin of pytest that stands inside a copy of the tree and reports what it sees.

It writes a line for each test: it passed, an assertion failed, or something else went wrong. And
it ends a run in which the code that is tested is not the copy's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

_said = json.loads(os.environ["MUTATIONS_WITNESS"])
_COPY, _ORIGINAL = Path(_said["copy"]), Path(_said["original"])
_ASSERTED = (AssertionError, pytest.fail.Exception)


def pytest_sessionstart() -> None:
    """What is mutated must be what an import finds."""
    for name in _said["mutated"]:
        _require_copy(_COPY / name)


def _require_copy(file: Path) -> None:
    room = next(p for p in map(Path, sys.path) if p != _COPY and file.is_relative_to(p))
    module = ".".join(file.relative_to(room).with_suffix("").parts)
    found = importlib.util.find_spec(module.removesuffix(".__init__"))
    if found is None or found.origin != str(file):
        pytest.exit(f"{module} is imported from {found and found.origin}, not from the copy", 3)


def pytest_sessionfinish() -> None:
    """Nothing may have been imported from the tree that is not mutated."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and _is_foreign(Path(file)):
            _report("broken", f"{module.__name__} was imported from {file}, not from the copy")


def _is_foreign(file: Path) -> bool:
    if not file.is_relative_to(_ORIGINAL) or file.is_relative_to(_COPY):
        return False
    return not file.relative_to(_ORIGINAL).parts[0].startswith(".")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Only an assertion of the test itself says that it saw a difference."""
    report = yield
    if call.excinfo is None:
        if report.when == "call":
            _report("passed", item.nodeid)
    elif report.when == "call" and _asserted(call.excinfo):
        _report("caught", item.nodeid)
    else:
        _report("broken", f"{item.nodeid}, {report.when}: {call.excinfo.exconly()}"[:400])
    return report


def _asserted(found: pytest.ExceptionInfo[BaseException]) -> bool:
    said = found.exconly()
    if isinstance(found.value, ValueError):
        # `(task,) = found` asserts how many there are.
        return "values to unpack" in said
    # pytest-timeout uses the same exception as pytest.fail, and a hang is no answer.
    return isinstance(found.value, _ASSERTED) and not said.startswith("Failed: Timeout")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be imported tests nothing."""
    if report.failed:
        _report("broken", f"{report.nodeid} cannot be collected: {report.longreprtext[-300:]}")


def _report(kind: str, what: str) -> None:
    with open(_said["report"], "a") as file:
        file.write(json.dumps({"kind": kind, "what": what}) + "\n")

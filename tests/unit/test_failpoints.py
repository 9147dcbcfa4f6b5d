"""Failpoints: what the setting may say, what a hit does, and that the table is the code's."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskwire_core import failpoints
from taskwire_core.errors import ConfigurationError
from taskwire_core.failpoint_table import FAILPOINTS
from taskwire_core.failpoints import (
    ARMED,
    Action,
    Failpoint,
    FailpointError,
    arm,
    hit,
    lasting,
    parse_failpoints,
)
from taskwire_core.settings import read_settings

ROOT = Path(__file__).parents[2]
ROOMS = ("admin", "broker", "cli", "contracts", "core", "db", "gateway", "worker")


@pytest.fixture(autouse=True)
def _nothing_stays_armed() -> Iterator[None]:
    yield
    arm([])


def test_the_setting_is_a_list_of_names_with_actions_and_hits() -> None:
    found = parse_failpoints(
        "claim.committed:kill, claim.begun:kill-group@3,write.executed:error@*,"
        "run.begun:sleep=0.25,watch.read:stop,"
    )
    assert found == (
        Failpoint("claim.committed", Action.KILL),
        Failpoint("claim.begun", Action.KILL_GROUP, at=3),
        Failpoint("write.executed", Action.ERROR, at=None),
        Failpoint("run.begun", Action.SLEEP, seconds=0.25),
        Failpoint("watch.read", Action.STOP),
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("claim.comitted:kill", "not 'claim.comitted'; near it are claim.committed"),
        ("claim.wrongly:kill", "near it are claim.received, claim.begun"),
        ("nonsense:kill", "not 'nonsense'; docs/operating.md lists them"),
        ("claim.committed", "must be NAME:ACTION or NAME:ACTION@N"),
        ("claim.committed:explode", "kill, kill-group, stop, sleep=SECONDS, error, and not 'exp"),
        ("claim.committed:kill@0", "number of a hit, 1 or more, or * behind @, not '0'"),
        ("claim.committed:kill@often", "not 'often'"),
        ("claim.committed:sleep", "must say of sleep, and of nothing else, for how long"),
        ("claim.committed:kill=3", "must say of sleep, and of nothing else, for how long"),
        ("claim.committed:sleep=long", "seconds of 0 to 86400 behind sleep=, not 'long'"),
        ("claim.committed:sleep=nan", "not 'nan'"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({"TASKWIRE_FAILPOINTS": value})
    assert str(refused.value).startswith("TASKWIRE_FAILPOINTS must ")
    assert problem in str(refused.value)


def test_an_error_is_raised_at_its_hit_and_at_no_other() -> None:
    arm(parse_failpoints("claim.committed:error@2"))
    hit("claim.committed")
    hit("claim.begun")
    with pytest.raises(FailpointError):
        hit("claim.committed")
    hit("claim.committed")


def test_with_a_star_every_hit_counts() -> None:
    arm(parse_failpoints("claim.committed:error@*"))
    for _ in range(3):
        with pytest.raises(FailpointError):
            hit("claim.committed")


def test_one_failpoint_may_have_several_actions() -> None:
    arm(parse_failpoints("run.begun:sleep=0,run.begun:error@2"))
    hit("run.begun")
    with pytest.raises(FailpointError):
        hit("run.begun")


def test_arming_again_forgets_what_was_armed() -> None:
    arm(parse_failpoints("run.begun:error@*"))
    arm([])
    assert not ARMED
    hit("run.begun")


def test_that_failpoints_are_set_and_each_that_acts_is_shouted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arm(parse_failpoints("run.begun:sleep=0@2"))
    for _ in range(3):
        hit("run.begun")
    assert [(r.levelname, r.message.split(":")[0]) for r in caplog.records] == [
        ("WARNING", "FAILPOINTS ARE SET"),
        ("WARNING", "failpoint hit"),
    ]
    last = vars(caplog.records[-1])
    assert (last["failpoint"], last["action"], last["count"]) == ("run.begun", "sleep", 2)


def test_nothing_is_logged_when_none_is_set(caplog: pytest.LogCaptureFixture) -> None:
    arm([])
    assert not caplog.records


def test_the_successor_of_a_process_that_died_gets_only_what_is_set_for_every_hit() -> None:
    found = parse_failpoints("run.begun:kill@7,run.ended:kill@*,claim.begun:kill")
    assert lasting(found) == (Failpoint("run.ended", Action.KILL, at=None),)


_PROGRAM = """
import os, sys
from taskwire_core.failpoints import arm, hit, parse_failpoints
arm(parse_failpoints(sys.argv[1]), host=int(sys.argv[2]) or None)
print(os.getpid(), flush=True)
hit("run.begun")
print("went on", flush=True)
"""


def _program(setting: str, host: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, setting, str(host)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("action", ["kill", "kill-group"])
def test_a_killed_process_is_dead_before_its_next_step(action: str) -> None:
    with _program(f"run.begun:{action}") as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert said == f"{process.pid}\n"


def test_kill_group_ends_the_service_that_has_started_the_process() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleeper, start_new_session=True) as service:
        with _program("run.begun:kill-group", service.pid) as process:
            process.communicate(timeout=30)
        assert service.wait(30) == -signal.SIGKILL
    assert process.returncode == -signal.SIGKILL


def test_a_stopped_process_goes_on_when_it_is_told_to() -> None:
    with _program("run.begun:stop") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=30)
    assert said.endswith("went on\n")


def _hits() -> Counter[str]:
    """The names that call sites have; each must be a literal, so that it can be searched for."""
    found: Counter[str] = Counter()
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        if file != Path(failpoints.__file__):
            found.update(_hits_of(file))
    return found


def _hits_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "hit":
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{file.name}:{node.lineno} names no literal"
            yield str(name.value)


def test_every_failpoint_has_a_call_site_and_every_call_site_is_in_the_table() -> None:
    assert set(_hits()) == set(FAILPOINTS)


def test_every_call_site_asks_first_whether_anything_is_armed() -> None:
    guarded = 0
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.If) and ast.unparse(node.test).partition(" and ")[0] == "ARMED":
                guarded += "hit(" in ast.unparse(node)
    assert guarded == sum(_hits().values())

"""Worker processes that are forked: what they have of their own, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.eventually import eventually
from tests.support.processes import gone, send

FORKS = """
import atexit, json, os, signal, sys, time
from taskwire_core.ids import new_id
from taskwire_worker.firstborn import Firstborn
from taskwire_worker.spawn import adopt

def run_child(descriptor, parent):
    supervisor = adopt(descriptor, parent)
    me = {"pid": os.getpid(), "id": new_id().hex(), "session": os.getsid(0)}
    supervisor.send(me | {"read": sys.stdin.read()})
    match supervisor.recv():
        case "end":
            atexit.register(print, "at exit", flush=True)
        case "fail":
            raise LookupError("nothing there")

firstborn = Firstborn(2, run_child)

def tell(*facts):
    print(json.dumps(facts), flush=True)
"""
"""What the tests' own process cannot do, since it has threads."""


def started(program: str) -> subprocess.Popen[str]:
    """The program behind what all of them begin with."""
    return subprocess.Popen(
        [sys.executable, "-c", FORKS + program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(program: str) -> tuple[list[Any], str, str]:
    """The facts that it has told, and what else came out of it; it must end well."""
    with started(program) as process:
        out, problems = process.communicate(timeout=30)
    assert process.returncode == 0, problems
    facts = [line for line in out.splitlines() if line.startswith("[")]
    return json.loads(facts[-1]), out, problems


def test_each_has_ids_and_a_session_of_its_own_and_nothing_to_read() -> None:
    (one, other, own), _, _ = told(
        "tell(*(firstborn.next().pipe.recv() for _ in range(2)), os.getsid(0)); firstborn.close()"
    )
    assert one["id"] != other["id"]
    assert one["session"] == one["pid"]
    assert other["session"] == other["pid"]
    assert own not in {one["pid"], other["pid"]}
    assert one["read"] == other["read"] == ""


def test_there_are_no_more_than_were_asked_for() -> None:
    (answer,), _, _ = told("firstborn.next(); firstborn.next(); tell(firstborn.next() is None)")
    assert answer


def test_a_process_with_threads_is_not_forked() -> None:
    program = """
import threading
firstborn.close()
threading.Thread(target=signal.pause, daemon=True).start()
later = Firstborn(1, run_child)
tell(later.next() is None)
later.close()
"""
    facts, _, _ = told(program)
    assert facts == [True]


def test_one_that_returns_ends_as_a_program_does() -> None:
    program = """
child = firstborn.next()
child.pipe.recv()
child.pipe.send("end")
tell(child.process.wait(20), child.process.poll(), child.ended)
"""
    facts, out, _ = told(program)
    assert facts == [0, 0, True]
    assert "at exit" in out


def test_one_that_fails_says_why_and_its_parent_goes_on() -> None:
    program = """
child = firstborn.next()
child.pipe.recv()
child.pipe.send("fail")
tell(child.process.wait(20))
"""
    facts, _, problems = told(program)
    assert facts == [1]
    assert "nothing there" in problems


def test_one_that_cannot_begin_does_not_go_on_as_its_parent() -> None:
    program = """
def full():
    raise OSError("no room")
os.setsid = full
family = Firstborn(1, run_child)
print("once", flush=True)
tell(family.next().process.wait(20))
"""
    facts, out, problems = told(program)
    assert facts == [1]
    assert out.count("once") == 1
    assert "no room" in problems


def test_how_one_has_ended_is_known_although_a_program_ignores_the_end_of_its_children() -> None:
    program = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = Firstborn(1, run_child).next()
child.pipe.recv()
child.kill()
tell(child.reap())
"""
    facts, _, _ = told(program)
    assert facts == [-9]


def test_one_is_waited_for_although_there_is_no_descriptor_left() -> None:
    program = """
import resource
child = firstborn.next()
child.pipe.recv()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
child.pipe.send("end")
tell(child.process.wait(20))
"""
    facts, _, _ = told(program)
    assert facts == [0]


def test_a_wait_ends_when_its_time_is_over_and_a_kill_is_waited_for() -> None:
    program = """
import subprocess
child = firstborn.next()
try:
    child.process.wait(0)
except subprocess.TimeoutExpired:
    early = child.process.poll()
child.pipe.recv()
child.kill()
tell(early, child.reap())
"""
    facts, _, _ = told(program)
    assert facts == [None, -9]


def test_those_that_nobody_has_taken_are_ended() -> None:
    program = """
def living():
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return len(children.read().split())
before = living()
firstborn.close()
tell(before, living())
"""
    facts, _, problems = told(program)
    assert facts == [2, 0]
    assert not problems


def test_they_die_with_the_process_that_has_forked_them() -> None:
    children: list[int] = []
    with started("tell(*(firstborn.next().pipe.recv() for _ in range(2))); signal.pause()") as one:
        assert one.stdout is not None
        children += (each["pid"] for each in json.loads(one.stdout.readline()))
        one.kill()
    try:
        eventually(lambda: all(map(gone, children)))
    finally:
        for child in children:
            send(child, "KILL")

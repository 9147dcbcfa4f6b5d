"""The wheel in an environment outside the clone: everything is inside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from taskwire_db import schema
from tests.packaging.conftest import Installed
from tests.packaging.image import ROOT, copied
from tests.support.embedded import environment
from tests.support.eventually import eventually
from tests.support.processes import free_ports, kill_group, spawn, stop_group
from tests.support.stack import serving
from tests.support.wheel import NOT_COPIED

PROTO = """
syntax = "proto3";
package acme.v1;
import "buf/validate/validate.proto";
import "taskwire/v1/options.proto";
service Tasks { rpc Make(A) returns (B) { option (taskwire.v1.task) = {}; } }
message A { string text = 1 [(buf.validate.field).string.min_len = 1]; }
message B {}
"""


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_contracts_descriptor_sets_and_migrations_are_inside(installed: Installed) -> None:
    inside = names(installed.wheel)
    for proto in (ROOT / "protos").rglob("*.proto"):
        assert f"taskwire/_contracts/{proto.relative_to(ROOT)}" in inside
    for room in (ROOT / "db" / "taskwire_db" / "migrations").rglob("*.[pm]*[yo]"):
        if "__pycache__" not in room.parts:
            assert str(room.relative_to(ROOT / "db")) in inside
    assert {"taskwire/_contracts/taskwire.binpb", "taskwire/_contracts/examples.binpb"} <= inside
    assert not [name for name in inside if name.startswith(("tests/", "bench/"))]


def test_what_the_dockerfile_copies_is_enough_to_build_the_same_wheel(
    installed: Installed, tmp_path: Path
) -> None:
    for source in copied():
        target = tmp_path / "build" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=NOT_COPIED)
        else:
            shutil.copy(ROOT / source, target)
    hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    command = [*hatchling, "--directory", str(tmp_path / "wheel")]
    subprocess.run(command, cwd=tmp_path / "build", check=True, capture_output=True)
    (built,) = (tmp_path / "wheel").glob("*.whl")
    assert names(built) == names(installed.wheel)


def test_the_proto_files_are_found_and_contracts_are_built(
    installed: Installed, tmp_path: Path
) -> None:
    protos = Path(installed.run("taskwire", "contracts", "protos").strip())
    assert protos.is_relative_to(installed.programs.parent)
    assert (protos / "taskwire" / "v1" / "task_service.proto").exists()
    (tmp_path / "acme.proto").write_text(PROTO)
    out = str(tmp_path / "acme.binpb")
    assert "acme.v1.Tasks/Make" in installed.run(
        "taskwire", "contracts", "build", str(tmp_path), "--out", out
    )


def test_the_database_is_upgraded(installed: Installed, tmp_path: Path) -> None:
    printed = installed.run("taskwire", "db", "upgrade", data_dir=str(tmp_path))
    assert f"now at revision {schema.head()}" in printed


@pytest.mark.timeout(120)
def test_dev_runs_a_task(installed: Installed, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = {"listen": f"127.0.0.1:{port}", "data_dir": str(tmp_path), "admin_listen": "off"}
    command = [str(installed.programs / "taskwire"), "dev"]
    log = tmp_path / "dev.log"
    server = spawn(command, env=environment(**settings), log=log, cwd=installed.folder)
    try:
        eventually(lambda: serving(settings["listen"]), within=30, what=log.read_text())
        divide = ("taskwire.examples.v1.MathTasks/Divide", '{"dividend": 84, "divisor": 2}')
        done = installed.run("taskwire", "submit", *divide, "--wait", "--json", **settings)
        assert json.loads(done)["result"]["quotient"] == 42
        stop_group(server)
        assert server.returncode == 0
    finally:
        kill_group(server)

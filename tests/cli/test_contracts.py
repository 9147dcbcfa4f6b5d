"""`taskwire contracts build`, and a server that loads what it built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Taskwire
from tests.support.embedded import EmbeddedServer

PROTO = """
syntax = "proto3";
package acme.greetings.v1;
import "taskwire/v1/options.proto";
// Politeness.
service GreetingTasks {
  // Says hello.
  rpc Greet(GreetRequest) returns (GreetResponse) { option (taskwire.v1.task) = {}; }
}
message GreetRequest { string name = 1; }
message GreetResponse { string text = 1; }
"""

HANDLERS = """
from taskwire import TaskContext, task
from acme.greetings.v1.greetings_pb2 import GreetRequest, GreetResponse

@task("acme.greetings.v1.GreetingTasks/Greet")
def greet(request: GreetRequest, context: TaskContext) -> GreetResponse:
    return GreetResponse(text=f"Hello, {request.name}!")
"""


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    folder = tmp_path / "protos"
    file = folder / "acme" / "greetings" / "v1" / "greetings.proto"
    file.parent.mkdir(parents=True)
    file.write_text(PROTO)
    return folder


@pytest.mark.parametrize("option", ["--out", "--python-out"])
def test_a_place_that_cannot_be_written_to_is_refused(
    bare: Taskwire, protos: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("")
    places = {"--out": tmp_path / "set.binpb", option: tmp_path / "file" / "below"}
    given = [str(each) for pair in places.items() for each in pair]
    answer = bare("contracts", "build", str(protos), *given)
    assert (answer.code, answer.out) == (2, "")
    assert f"cannot write to {tmp_path / 'file'}" in answer.line
    assert not (tmp_path / "set.binpb").exists()


def test_what_is_built_is_served_and_run(bare: Taskwire, protos: Path, tmp_path: Path) -> None:
    out, python = tmp_path / "set.binpb", tmp_path / "python"
    built = bare("contracts", "build", str(protos), "--out", str(out), "--python-out", str(python))
    assert built.code == 0, built.err
    assert "1 task type" in built.out
    assert "acme.greetings.v1.GreetingTasks/Greet" in built.out
    (python / "acme_handlers.py").write_text(HANDLERS)
    server = EmbeddedServer(contracts=str(out), handlers="acme_handlers")
    server.python_path = f"{python}"
    try:
        server.start()
        assert "acme.greetings.v1.GreetingTasks/Greet" in server.output
        done = server.run(
            *("submit", "acme.greetings.v1.GreetingTasks/Greet", '{"name": "Ada"}', "--wait")
        )
        assert done.returncode == 0, done.stderr
        assert "Hello, Ada!" in done.stdout
    finally:
        server.close()


def test_a_proto_that_does_not_compile_is_one_line(bare: Taskwire, protos: Path) -> None:
    (file,) = protos.rglob("*.proto")
    file.write_text(PROTO.replace("string name = 1;", "strin name = 1;"))
    answer = bare("contracts", "build", str(protos), "--out", str(protos / "set.binpb"))
    assert answer.code == 2
    assert "greetings.proto" in answer.line


def test_a_folder_without_protos_is_one_line(bare: Taskwire, tmp_path: Path) -> None:
    answer = bare("contracts", "build", str(tmp_path), "--out", str(tmp_path / "set.binpb"))
    assert answer.code == 2
    assert "holds no .proto file" in answer.line


def test_a_folder_that_is_missing_is_one_line(bare: Taskwire, tmp_path: Path) -> None:
    answer = bare("contracts", "build", str(tmp_path / "x"), "--out", str(tmp_path / "set.binpb"))
    assert answer.code == 2
    assert "is not a folder" in answer.line

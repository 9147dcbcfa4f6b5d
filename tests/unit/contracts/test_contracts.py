"""Contracts: what makes a method a task, and one line for everything that is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from taskwire_contracts import Contracts, build, load
from taskwire_core.errors import ConfigurationError

HEAD = 'syntax = "proto3";\npackage acme.v1;\nimport "taskwire/v1/options.proto";\n'
MESSAGES = "message A {}\nmessage B {}\nmessage C {}\nmessage D {}\n"


def method(name: str, options: str, *, request: str = "A", response: str = "B") -> str:
    option = f"option (taskwire.v1.task) = {{{options}}};"
    return f"rpc {name}({request}) returns ({response}) {{ {option} }}\n"


def built(folder: Path, methods: str, *, messages: str = MESSAGES, name: str = "a") -> Path:
    """A set with one service of these methods."""
    protos = folder / name
    protos.mkdir()
    (protos / "a.proto").write_text(f"{HEAD}service Tasks {{\n{methods}}}\n{messages}")
    out = folder / f"{name}.binpb"
    build(protos, out)
    return out


def problem(folder: Path, methods: str, **more: str) -> str:
    """The one line that a set with these methods is refused with."""
    with pytest.raises(ConfigurationError) as raised:
        built(folder, methods, **more)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def loaded(folder: Path, methods: str) -> Contracts:
    return load([built(folder, methods)])


def test_a_method_with_the_option_is_a_task_type(tmp_path: Path) -> None:
    found = loaded(tmp_path, "// Makes one.\n" + method("Make", "attempt_timeout: {seconds: 9}"))
    make = found.types["acme.v1.Tasks/Make"]
    assert make.description == "Makes one."
    assert make.options.queue == "acme.v1.Tasks"
    assert make.options.attempt_timeout == timedelta(seconds=9)
    assert make.options.retry.max_attempts == 5
    assert make.input_class().DESCRIPTOR.full_name == "acme.v1.A"
    assert found.by_input["acme.v1.A"] is make


def test_at_most_once_means_one_attempt(tmp_path: Path) -> None:
    options = loaded(tmp_path, method("Make", "at_most_once: true")).types["acme.v1.Tasks/Make"]
    assert options.options.retry.max_attempts == 1


def test_the_examples_load_beside_other_contracts(tmp_path: Path) -> None:
    found = load([built(tmp_path, method("Make", ""))], examples=True)
    assert {"acme.v1.Tasks/Make", "taskwire.examples.v1.MathTasks/Divide"} <= set(found.types)


def test_the_same_set_may_be_named_twice(tmp_path: Path) -> None:
    binpb = built(tmp_path, method("Make", ""))
    assert len(load([binpb, tmp_path]).types) == 1


def test_near_names_are_found(tmp_path: Path) -> None:
    found = loaded(tmp_path, method("Make", "") + method("Paint", "", request="C"))
    assert found.near("acme.v1.Tasks/Mak") == ["acme.v1.Tasks/Make"]
    assert found.near("paint") == ["acme.v1.Tasks/Paint"]
    assert found.near("other.Thing/Do") == []


def test_a_name_longer_than_any_is_compared_with_nothing(tmp_path: Path) -> None:
    found = loaded(tmp_path, method("Make", ""))
    assert found.near("a" * 1_000 + "/Make") == []


def test_two_types_with_one_input_are_both_named(tmp_path: Path) -> None:
    text = problem(tmp_path, method("Make", "") + method("Paint", ""))
    assert "acme.v1.Tasks/Make" in text
    assert "acme.v1.Tasks/Paint" in text
    assert "acme.v1.A" in text


def test_a_stream_cannot_be_a_task(tmp_path: Path) -> None:
    text = problem(tmp_path, method("Make", "", response="stream B"))
    assert "acme.v1.Tasks/Make is a stream" in text


def test_at_most_once_excludes_retries(tmp_path: Path) -> None:
    text = problem(tmp_path, method("Make", "at_most_once: true, retry: {max_attempts: 2}"))
    assert "acme.v1.Tasks/Make" in text
    assert "at_most_once" in text


def test_all_invalid_options_are_named_at_once(tmp_path: Path) -> None:
    text = problem(tmp_path, method("Make", 'queue: "no queue", retry: {jitter: 2}'))
    assert "queue must" in text
    assert "retry.jitter must" in text


def test_two_sets_that_define_a_file_differently_are_both_named(tmp_path: Path) -> None:
    one = built(tmp_path, method("Make", ""), name="one")
    other = built(tmp_path, method("Make", ""), name="other", messages=MESSAGES + "message E {}\n")
    with pytest.raises(ConfigurationError) as raised:
        load([one, other])
    for part in (str(one), str(other), "a.proto"):
        assert part in str(raised.value)


def test_a_set_without_its_imports_is_refused(tmp_path: Path) -> None:
    found = descriptor_pb2.FileDescriptorSet()
    found.file.add(name="x.proto", dependency=["y.proto"])
    (tmp_path / "x.binpb").write_bytes(found.SerializeToString())
    with pytest.raises(ConfigurationError, match=r"x\.proto imports y\.proto"):
        load([tmp_path / "x.binpb"])


def test_a_message_defined_by_two_files_is_refused(tmp_path: Path) -> None:
    found = descriptor_pb2.FileDescriptorSet()
    for name in ("x.proto", "y.proto"):
        found.file.add(name=name, package="acme").message_type.add(name="M")
    (tmp_path / "x.binpb").write_bytes(found.SerializeToString())
    with pytest.raises(ConfigurationError, match=r"y\.proto cannot be loaded"):
        load([tmp_path / "x.binpb"])


@pytest.mark.parametrize("content", [b"", b"no set at all", b"\x0a\x00"])
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.binpb").write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not a descriptor set"):
        load([tmp_path / "x.binpb"])


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="do not exist"):
        load([tmp_path / "gone.binpb"])


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no"):
        load([tmp_path])


def test_our_own_files_win_over_those_of_a_set(tmp_path: Path) -> None:
    binpb = built(tmp_path, method("Make", ""))
    found = descriptor_pb2.FileDescriptorSet.FromString(binpb.read_bytes())
    ours = next(file for file in found.file if file.name == "taskwire/v1/options.proto")
    ours.message_type.add(name="Stranger")
    binpb.write_bytes(found.SerializeToString())
    assert load([binpb]).message_class("taskwire.v1.Stranger") is None


def test_protocs_complaint_is_one_line(tmp_path: Path) -> None:
    text = problem(tmp_path, "rpc Make(Nothing) returns (B);\n")
    assert '"Nothing" is not defined' in text


def test_a_folder_without_protos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no"):
        build(tmp_path, tmp_path / "x.binpb")


def test_generated_modules_need_no_wheel_of_protovalidates(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    protos.mkdir()
    rule = "[(buf.validate.field).string.min_len = 1]"
    (protos / "a.proto").write_text(
        f'{HEAD}import "buf/validate/validate.proto";\nmessage A {{ string b = 1 {rule}; }}\n'
    )
    build(protos, tmp_path / "a.binpb", tmp_path / "python")
    text = (tmp_path / "python" / "a_pb2.py").read_text()
    assert "import validate_pb2" not in text
    assert (tmp_path / "python" / "a_pb2.pyi").exists()

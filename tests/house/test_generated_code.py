"""The code generated from protos/ loads beside any other copy of validate.proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message_factory import GetMessageClass
from protovalidate import collect_violations

import taskwire

CONTRACTS = Path(taskwire.__file__).parent / "_contracts"

ANOTHER_VALIDATE_PROTO = """
from google.protobuf import descriptor_pb2, descriptor_pool

def load_another_validate_proto():
    file = descriptor_pb2.FileDescriptorProto(
        name="buf/validate/validate.proto",
        package="buf.validate",
        dependency=["google/protobuf/descriptor.proto"],
        syntax="proto3",
    )
    rules = file.message_type.add(name="FieldRules")
    rules.field.add(name="of_another_release", number=1, type="TYPE_BOOL", label="LABEL_OPTIONAL")
    file.extension.add(
        name="field", extendee=".google.protobuf.FieldOptions", number=1159, type="TYPE_MESSAGE",
        type_name=".buf.validate.FieldRules", label="LABEL_OPTIONAL", proto3_optional=True,
    )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())

def load_ours():
    from taskwire.examples.v1 import demo_tasks_pb2
    from taskwire.v1 import errors_pb2, options_pb2, task_pb2, task_service_pb2
    import protovalidate

    broken = protovalidate.collect_violations(task_service_pb2.GetTaskRequest(id="17"))
    assert [violation.proto.rule_id for violation in broken] == ["string.uuid"], broken
"""


def run(*calls: str) -> None:
    """Make the calls in a process of their own, whose default pool is still empty."""
    subprocess.run(
        [sys.executable, "-c", "\n".join((ANOTHER_VALIDATE_PROTO, *calls))], check=True, timeout=60
    )


def test_a_program_may_load_its_own_validate_proto_after_ours() -> None:
    run("load_ours()", "load_another_validate_proto()")


def test_a_program_may_load_its_own_validate_proto_before_ours() -> None:
    run("load_another_validate_proto()", "load_ours()")


def test_importing_the_contract_loads_no_validate_proto() -> None:
    run(
        "load_ours()",
        "names = [descriptor_pool.Default()]",
        "try: names[0].FindFileByName('buf/validate/validate.proto')",
        "except KeyError: pass",
        "else: raise SystemExit('validate.proto is in the default pool')",
    )


def test_the_shipped_descriptor_sets_are_complete_and_keep_the_rules() -> None:
    for name, message, field in (
        ("taskwire.binpb", "taskwire.v1.GetTaskRequest", "id"),
        ("examples.binpb", "taskwire.examples.v1.SleepRequest", "duration"),
    ):
        image = FileDescriptorSet.FromString((CONTRACTS / name).read_bytes())
        pool = descriptor_pool.DescriptorPool()
        for file in image.file:
            pool.Add(file)
        violations = collect_violations(GetMessageClass(pool.FindMessageTypeByName(message))())
        assert [v.proto.field.elements[0].field_name for v in violations if v.proto.field] == [
            field
        ]


def test_the_protos_are_shipped_for_people_who_generate_their_own_stubs() -> None:
    assert (CONTRACTS / "protos/taskwire/v1/options.proto").is_file()
    assert (CONTRACTS / "protos/taskwire/examples/v1/math_tasks.proto").is_file()
